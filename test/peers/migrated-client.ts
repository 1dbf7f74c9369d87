// A real guest with a DHCP client in it, in the place of the VM of two hypervisors: a tap at either bridge, and QEMU's live
// migration from one to the other.
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'
import type {GuestClient} from '../../src/lab/guest/dhcp-image.ts'
import type {GuestImage} from '../../src/lab/guest/image.ts'
import {type MigratedGuest, migrateGuest, type RunningGuest, startGuest} from '../../src/lab/guest/machine.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {openGuestAgent} from '../../src/net/stream/qga.ts'
import {until} from '../support/until.ts'
import {GATEWAYS, VM_IP} from './dhcp-lab.ts'
import type {TwoHypervisors} from './two-hypervisors.ts'

/** The guest's port at either bridge. */
export const TAP = 'tap0'

export interface MigratedClient extends AsyncDisposable {
  /** Live-migrates it; resolves when it runs there. */
  migrate(to: 'x' | 'y'): Promise<MigratedGuest>
  /** Runs a shell line in it; its standard output. Takes some 100 ms. */
  sh(line: string): Promise<string>
  /** Its default router, if it has one alone. */
  router(): Promise<string | undefined>
}

/** At x, with a lease. */
export async function startMigratedClient(
  lab: TwoHypervisors,
  image: GuestImage,
  client: GuestClient,
): Promise<MigratedClient> {
  const scratch = join(lab.dir, `guest-${client}`)
  mkdirSync(scratch)
  await runCommand('ip', ['-n', lab.hypervisor, 'link', 'set', 'wx', 'down'])
  for (const namespace of [lab.hx, lab.hy]) {
    await runCommand('ip', ['-n', namespace, 'tuntap', 'add', TAP, 'mode', 'tap'])
    await runCommand('ip', ['-n', namespace, 'link', 'set', TAP, 'master', 'br0', 'up'])
  }
  let moves = 0
  const options = (site: 'x' | 'y') => ({
    ...{namespace: site === 'x' ? lab.hx : lab.hy, tap: TAP, mac: lab.client.mac, mtu: 1500, scratch},
    // For the moment until its client begins.
    ...{address: `${VM_IP}/24`, gateway: GATEWAYS.rx.ip, name: `vm-${moves}`, kernelWords: `gw.client=${client}`},
  })
  let guest: RunningGuest = await startGuest(image, options('x'))
  const self: MigratedClient = {
    async migrate(to) {
      moves++
      const moved = await migrateGuest(guest, image, options(to))
      guest = moved
      return moved
    },
    async sh(line) {
      const agent = await openGuestAgent(guest.agentSocket, AbortSignal.timeout(60_000))
      try {
        return (await agent.run(['sh', '-c', line], {timeoutMs: 60_000})).stdout
      } finally {
        agent.close()
      }
    },
    async router() {
      const routes = [...(await self.sh('ip -4 route show default')).matchAll(/^default via (\S+)/gm)]
      return routes.length === 1 ? routes[0]![1] : undefined
    },
    [Symbol.asyncDispose]: () => guest.stop(),
  }
  try {
    await until(async () => (await self.router()) !== undefined, 60_000, `${client} has a lease`)
  } catch (error) {
    const log = await self.sh('tail -c 2000 /run/client.log').catch(() => '')
    await guest.stop()
    throw new Error(`${(error as Error).message}: ${log}`)
  }
  return self
}
