import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, it} from 'vitest'
import {Failure} from '../../../src/errors.ts'
import {reconfigureText} from '../../../src/orders/reconfigure/reconfigure-report.ts'
import {type Reconfigure6Order, runReconfigure6} from '../../../src/orders/reconfigure/run-reconfigure6.ts'
import {
  DHCPV6_OPTION_AUTH,
  dhcpv6Option,
  parseDhcpv6,
  verifyDhcpv6Reconfigure,
} from '../../../src/wire/dhcpv6-reconfigure.ts'
import {parseEthernet} from '../../../src/wire/ethernet.ts'
import {parseIpv6} from '../../../src/wire/ipv6.ts'
import {linkLocalOf} from '../../../src/wire/ipv6-address.ts'
import {parseUdp} from '../../../src/wire/udp.ts'
import {CLIENT, NONCE} from '../../strategies/dhcp/support.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-v6-'))
  writeFileSync(join(dir, 'key'), Buffer.from(NONCE).toString('hex'))
})
afterEach(() => rmSync(dir, {recursive: true, force: true}))

const ETH0 = ethernetInterface({mac: '02:00:00:00:0f:01'})

async function run(over: Partial<Reconfigure6Order> = {}, dryRun = false) {
  const world = fakeWorld({interfaces: [ETH0]})
  const order: Reconfigure6Order = {
    client: linkLocalOf(CLIENT.mac),
    mac: CLIENT.mac,
    interfaceName: 'eth0',
    clientDuid: '00:03:00:01:09',
    serverDuid: '00:03:00:01:08',
    nonceFile: join(dir, 'key'),
    ask: 'renew',
    attempts: 2,
    timeoutMs: 1000,
    state: join(dir, 'state.db'),
    all: false,
    unauthenticated: false,
    ...over,
  }
  const document = await runReconfigure6(order, undefined, {world, signal: new AbortController().signal, dryRun})
  return {document, world}
}

describe('send-reconfigure --ipv6', () => {
  it.each([true, false])('fails without the interface, before anything is made up (dry run: %s)', async (dryRun) => {
    const gone = run({interfaceName: 'nosuch0'}, dryRun)
    await expect(gone).rejects.toThrow('no interface nosuch0 here; Ethernet interfaces are: eth0')
    await expect(gone).rejects.toBeInstanceOf(Failure)
  })

  it('shows a Reconfigure from the interface, and calls it one', async () => {
    const {document, world} = await run({}, true)
    expect(world.sent).toEqual([])
    expect(document).toMatchObject({message: 'Reconfigure', exitCode: 0, frames: [{message: 'Reconfigure'}]})
    const frame = parseEthernet(Buffer.from(document.frames[0]!.hex, 'hex'))
    expect(frame).toMatchObject({source: ETH0.mac, destination: CLIENT.mac})
    const packet = parseIpv6(frame.payload)
    expect(packet).toMatchObject({source: linkLocalOf(ETH0.mac), destination: linkLocalOf(CLIENT.mac)})
    const {payload} = parseUdp(packet.payload)
    expect(verifyDhcpv6Reconfigure(payload, NONCE)).toBe(true)
    expect(dhcpv6Option(parseDhcpv6(payload), DHCPV6_OPTION_AUTH)).toHaveLength(28)
    const [head] = reconfigureText(document)
    expect(head).toBe(
      `would send ${linkLocalOf(CLIENT.mac)} (${linkLocalOf(CLIENT.mac)}, ${CLIENT.mac}) a Reconfigure, its key from ${dir}/key`,
    )
  })

  it('speaks of Reconfigures of a client that says nothing, too', async () => {
    const {document, world} = await run()
    expect(world.sent).toHaveLength(2)
    expect(document).toMatchObject({exitCode: 5, clients: [{outcome: 'silent', attempts: 2}]})
    const text = reconfigureText(document).join('\n')
    expect(text).toContain('nothing after 2 Reconfigures')
    expect(text).toContain('dhcp6_reconfigure_accept')
    expect(text).not.toMatch(/FORCERENEW|xid|option 145/)
  })
})
