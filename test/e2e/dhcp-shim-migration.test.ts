// A real guest with stock dhcpcd, live-migrated between two hypervisors with a shim each, a server that knows one router.
import {describe, expect, it} from 'vitest'
import {dhcpGuestImage} from '../../src/lab/guest/dhcp-image.ts'
import {type GuestImage, guestImage} from '../../src/lab/guest/image.ts'
import {EXIT_HOOK} from '../peers/dhcp-clients.ts'
import {GATEWAYS, textOf, VM_IP} from '../peers/dhcp-lab.ts'
import {askShim, startShims, stop} from '../peers/dhcp-shims.ts'
import {startMigratedClient} from '../peers/migrated-client.ts'
import {startPlainDnsmasq} from '../peers/plain-servers.ts'
import {withTwoHypervisors} from '../peers/two-hypervisors.ts'
import {startEcho} from '../support/echo-stream.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const needed = ['dnsmasq', 'dhcpcd', 'nft']
const present = await Promise.all(needed.map(hasProgram))
const absent = needed.find((_, i) => !present[i])
const base = noNamespaces ?? (absent === undefined ? await guestImage() : `${absent} is not installed`)

const {rx, ry} = GATEWAYS
/** Longer than anything here takes: what happens before is no renewal of its own. */
const LONG_S = 300

describe.skipIf(typeof base === 'string')(
  `a live-migrated guest${typeof base === 'string' ? ` (${base})` : ''}`,
  () => {
    it('takes the gateway of the shim where it lands: when it asks by itself, and at once when it is told to', async () => {
      await withTwoHypervisors(async (lab) => {
        await startPlainDnsmasq(lab)
        const [atX, atY] = await startShims(lab, {x: 3, y: LONG_S})
        const image = await dhcpGuestImage(base as GuestImage, lab.dir, EXIT_HOOK, ['dash', 'dhcpcd'])
        await using vm = await startMigratedClient(lab, image, 'dhcpcd')
        expect(await vm.router()).toBe(rx.ip)
        const stream = startEcho(lab.beyond, VM_IP)
        await until(async () => stream.echoed() > 10, 30_000, 'the guest echoes')

        await vm.migrate('y')
        await until(async () => (await vm.router()) === ry.ip, 30_000, 'it uses the gateway of y')
        expect(textOf(atY!.log)).toMatch(/router=10\.9\.0\.2>10\.9\.0\.3 t1=\d+>300 nonce=added port=tap0/)
        expect(textOf(atY!.log)).not.toContain('event=DHCPFORCERENEW')

        // By itself it would ask after five minutes now.
        await vm.migrate('x')
        const told = async () => (await askShim(lab, 'x', {do: 'forcerenew', vm: 'web-07'})).ok
        // Until it has said something there.
        await until(told, 10_000, 'the shim knows where it is')
        await until(async () => (await vm.router()) === rx.ip, 30_000, 'it uses the gateway of x')
        expect(textOf(atX!.log)).toMatch(/event=DHCPFORCERENEW vm=web-07/)

        const {sent, echoed} = await stream.stop()
        expect(echoed).toBe(sent)
        for (const shim of [atX!, atY!]) await stop(shim)
      })
    }, 180_000)
  },
)
