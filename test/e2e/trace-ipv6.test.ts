// A VM that trombones over IPv6: gateways known by link-local addresses, in each protocol of probes.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
import {gwswitch} from '../support/cli.ts'
import {giveIpv6, NEAR_Y6, VM6} from '../support/lab6.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {complaints} from '../support/schemas.ts'
import {until} from '../support/until.ts'
import {useLab} from '../support/use-lab.ts'

const DCI_RTT_MS = 10
const FAST = ['--rate', '200', '--json']
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-trace6-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

describe.skipIf(noNamespaces)('a moved VM, over IPv6', () => {
  const lab = useLab({dci: 'plain', dciDelayMs: DCI_RTT_MS / 2, wanDelayMs: DCI_RTT_MS / 2})
  let inventory: string
  beforeAll(async () => {
    inventory = await giveIpv6(lab(), join(scratch, 'gwswitch.yaml'))
    await (await moveVm(lab().prefix, 'db-03', 'y')).announced
    const carries = () =>
      lab()
        .run('db-03', 'ping', '-6', '-c', '1', '-W', '1', NEAR_Y6)
        .then(
          () => true,
          () => false,
        )
    await until(carries, 20_000, 'the new addresses and routes carry')
  })
  const trace = (...args: string[]) =>
    gwswitch(['trace', ...args, '-f', inventory, ...FAST], {namespace: lab().ns('db-03')})

  it.each(['icmp', 'tcp', 'udp'])('trombones, by %s probes', async (proto) => {
    const {code, json} = await trace(NEAR_Y6, '--proto', proto)
    expect(json.results[0]).toMatchObject({
      host: {name: 'db-03', ip: VM6, site: 'y'},
      destination: {ip: NEAR_Y6, site: 'y'},
      probe: {proto},
      candidates: [
        {name: 'bx', ip: 'fe80::a', site: 'x', macSource: 'neigh'},
        {name: 'by', ip: 'fe80::b', site: 'y', local: true, works: {small: {answered: 1}}},
      ],
      egress: {verdict: 'trombone', reason: 'detour'},
      inbound: {verdict: 'local', via: [{gateway: 'by'}]},
    })
    expect(Math.abs(json.results[0].egress.penaltyMs.min - DCI_RTT_MS)).toBeLessThan(DCI_RTT_MS / 3)
    const hops = json.results[0].candidates[0].hops.map((hop: {addr: string | null}) => hop.addr)
    expect(hops.slice(-2)).toEqual(['2001:db8:f0::2', NEAR_Y6])
    expect(code).toBe(10)
  })

  it('finds the MAC of a gateway that nobody wrote down, by neighbour discovery', async () => {
    const {json} = await gwswitch(['trace', NEAR_Y6, '--via', 'fe80::b', ...FAST], {namespace: lab().ns('db-03')})
    expect(json.results[0].candidates).toMatchObject([
      {ip: 'fe80::a', mac: '02:00:00:00:0a:02'},
      {ip: 'fe80::b', mac: '02:00:00:00:0b:02', macSource: 'arp'},
    ])
    expect(json.results[0].egress.penaltyMs.lo).toBeGreaterThan(DCI_RTT_MS / 2)
  })

  it('trombones, traced from its hypervisor in its place', async () => {
    const {code, json} = await gwswitch(['trace', NEAR_Y6, '--port-of', 'db-03', '-f', inventory, ...FAST], {
      namespace: lab().ns('hv'),
    })
    expect(json.results[0]).toMatchObject({
      host: {name: 'db-03', ip: VM6, site: 'y', iface: 'db-03'},
      candidates: [
        {name: 'bx', ip: 'fe80::a'},
        {name: 'by', ip: 'fe80::b'},
      ],
      egress: {verdict: 'trombone', reason: 'detour'},
    })
    expect(code).toBe(10)
  })

  it('is heard at its port with nothing sent', async () => {
    const ping = spawnIn(lab().ns('db-03'), ['ping', '-6', '-q', '-i', '0.05', NEAR_Y6], {stdio: 'ignore'})
    try {
      const args = ['--passive', '1', '--port-of', 'db-03', '--site', 'y', '-f', inventory, '--json']
      const {code, json} = await gwswitch(['trace', ...args], {namespace: lab().ns('hv')})
      expect(json.peers).toMatchObject([
        {
          ...{ip: NEAR_Y6, site: 'y', tcp: null, verdict: 'trombone', inbound: 'local'},
          ...{out: [{gateway: 'bx'}], in: [{gateway: 'by'}]},
        },
      ])
      expect(complaints(json)).toEqual([])
      expect(code).toBe(10)
    } finally {
      ping.kill()
    }
  })

  it.each([
    ['ff02::1', /is no address of one host somewhere else/],
    ['fe80::1', /is no address of one host somewhere else/],
    ['2001:db8::g', /is not an IPv6 address/],
  ])('is not traced to %s', async (destination, message) => {
    const {code, stderr} = await gwswitch(['trace', destination], {namespace: lab().ns('db-03')})
    expect(stderr).toMatch(message)
    expect(code).toBe(2)
  })
})
