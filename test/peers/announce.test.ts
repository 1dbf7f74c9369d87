// Speaking for a VM of both families on a plain bridge: by garp alone, and as a part of a switch.
import {beforeEach, describe, expect, it} from 'vitest'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {BEYOND, type SegmentLab, type SegmentNode, useSegmentLab, VM_MAC, Y_MAC} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'

const VM6 = '2001:db8:1::10'

/** What a gateway has of the VM, by address. */
async function knownAt(lab: SegmentLab, node: SegmentNode): Promise<Readonly<Record<string, string>>> {
  const entries = JSON.parse(await lab.run(node, 'ip -json neigh show dev eth0')) as {dst: string; lladdr?: string}[]
  return Object.fromEntries(
    entries.flatMap(({dst, lladdr}) => (lladdr === VM_MAC && !dst.startsWith('fe80') ? [[dst, lladdr]] : [])),
  )
}

const BOTH = {'10.1.0.10': VM_MAC, [VM6]: VM_MAC}

describe.skipIf(noNamespaces)('speaking for a VM', () => {
  const lab = useSegmentLab({ip6: {x: 'fe80::1', y: 'fe80::1', vm: VM6}})

  beforeEach(async () => {
    await lab().restore()
    for (const node of ['gx', 'gy'] as const) await lab().run(node, 'ip neigh flush all; ip -6 neigh flush all')
    // It answers ARP and neighbour discovery, and says nothing else.
    await lab().run(
      'vm',
      "nft 'table inet mute { chain o { type filter hook output priority 0; icmpv6 type { 133, 135 } drop; ip protocol icmp drop; icmpv6 type 129 drop; }; }'",
    )
  })

  const run = (node: SegmentNode, ...args: string[]) =>
    gwswitch([...args, '-f', lab().inventoryFile, '--json'], {namespace: lab().ns(node)})

  it('makes the gateway that is asked enter both its addresses, and nobody else', async () => {
    const {code, json} = await run('sw', 'garp', 'by', '--announce', 'db-03', '-i', 'vnet0')
    expect({code, json}).toMatchObject({
      code: 0,
      json: {
        ...{verdict: 'known', leg: null, neighbours: []},
        answers: [
          {ip: '10.1.0.254', mac: Y_MAC},
          {ip: 'fe80::1', mac: Y_MAC},
        ],
        warnings: [expect.stringMatching(/the answer of by moves the VM to it/)],
      },
    })
    expect(await knownAt(lab(), 'gy')).toEqual(BOTH)
    // What comes in for it still comes by the other one, which asks for its IPv4 address itself.
    expect(await knownAt(lab(), 'gx')).not.toHaveProperty([VM6])
    // As it says: the address is shared.
    expect(await lab().gateway()).toBe(Y_MAC)
  })

  it('shows by whom packets for the VM arrive, where its echo is answered', async () => {
    await lab().run('net', 'ip route replace 10.1.0.0/24 via 172.16.2.1')
    const {json} = await run('sw', 'garp', 'by', '--announce', 'db-03', '-i', 'vnet0')
    expect(json.inbound).toMatchObject({ip: BEYOND, mac: Y_MAC})
  })

  it('says what it would say, and says nothing', async () => {
    const {json} = await run('sw', 'garp', 'by', '--announce', 'db-03', '-i', 'vnet0', '--dry-run')
    expect(json).toMatchObject({dryRun: true, verdict: 'not-sent'})
    expect(json.frames.map(({kind}: {kind: string}) => kind).slice(0, 3)).toEqual(['ask', 'ask', 'advertisement'])
    expect(await knownAt(lab(), 'gy')).toEqual({})
  })

  it('is refused for a VM that is not at the port, or does not answer there', async () => {
    const wrong = await run('sw', 'garp', 'by', '--announce', 'db-03', '-i', 'p-gx')
    expect(wrong).toMatchObject({code: 1, json: {error: {message: expect.stringMatching(/is at vnet0, not at p-gx/)}}})
    await lab().run('vm', 'ip link set eth0 down')
    const {code, json} = await run('sw', 'garp', 'by', '--announce', 'db-03', '-i', 'vnet0')
    expect({code, json}).toMatchObject({code: expect.any(Number), json: {error: {message: expect.any(String)}}})
    expect(code).not.toBe(0)
    expect(await knownAt(lab(), 'gy')).toEqual({})
  })

  it('is a part of a switch, at its port and at the gateway, and can be left out', async () => {
    await lab().run('vm', 'nft flush ruleset')
    const told = (json: {steps: {step: string; events: {text: string}[]}[]}): string[] =>
      json.steps.filter(({step}) => step === 'execute').flatMap(({events}) => events.map(({text}) => text))
    const atPort = await run('sw', 'switch', 'db-03', '--to', 'y', '--strategy', 'arp', '-i', 'vnet0')
    expect(atPort.json).toMatchObject({end: 'switched', plan: {announce: {port: 'vnet0', leg: null}}})
    expect(told(atPort.json)).toContain(`as db-03: who-has 10.1.0.254 tell 10.1.0.10 at ${VM_MAC}, to ${Y_MAC}`)

    await lab().restore()
    await lab().run('gy', 'ip neigh flush all; ip -6 neigh flush all')
    const atGateway = await run('gy', 'switch', 'db-03', '--to', 'y', '--strategy', 'arp')
    expect(atGateway.json).toMatchObject({end: 'switched', plan: {announce: {port: null, leg: 'eth0'}}})
    for (const ip of ['10.1.0.10', VM6])
      expect(told(atGateway.json)).toContain(`${ip} is at ${VM_MAC}: written into the neighbour table of eth0`)
    await until(async () => (await knownAt(lab(), 'gy'))[VM6] === VM_MAC, 5000, 'the gateway has the IPv6 address')

    await lab().restore()
    const without = await run('sw', 'switch', 'db-03', '--to', 'y', '--strategy', 'arp', '-i', 'vnet0', '--no-announce')
    expect(without.json).toMatchObject({end: 'switched', plan: {announce: null}})
    expect(told(without.json).filter((text) => text.startsWith('as db-03'))).toEqual([])
  })

  it('does not move a VM that its bridge redirects', async () => {
    await lab().run('vm', 'nft flush ruleset')
    const {json} = await run('sw', 'switch', 'db-03', '--to', 'y', '--strategy', 'mac-proxy')
    expect(json).toMatchObject({end: 'switched', plan: {announce: {gateway: {ip: null, ip6: null}}}})
    expect(await lab().gateway()).not.toBe(Y_MAC)
  })
})
