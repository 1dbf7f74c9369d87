// The same for IPv6: which Neighbour Discovery message moves a neighbour entry, and what else it does to the host.
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {announcementFrame} from '../../src/strategies/arp/frames.ts'
import {ETHERTYPE_IPV6, parseEthernet} from '../../src/wire/ethernet.ts'
import {icmpv6Frame, parseIcmpv6} from '../../src/wire/icmpv6.ts'
import {NEXT_HEADER_ICMPV6, parseIpv6} from '../../src/wire/ipv6.ts'
import {ALL_NODES} from '../../src/wire/ipv6-address.ts'
import type {NeighbourAdvertisement} from '../../src/wire/nd.ts'
import {noNamespaces, type PairEnd, withPair} from '../support/namespaces.ts'
import {linkIn} from './arp-link.ts'

const A = '02:00:00:00:0a:01'
const B = '02:00:00:00:0b:01'
const VM_IP = '2001:db8:1::10'
const STATES = ['none', 'reachable', 'stale', 'delay', 'failed', 'permanent'] as const
type State = (typeof STATES)[number]
type Build = (gateway: string, vmMac: string, own: string) => Uint8Array

const ours =
  (form: 'ask' | 'reply' | 'ra'): Build =>
  (ip, mac, own) =>
    announcementFrame(form, {ip, mac: B}, {vm: {ip: VM_IP, mac}}, own).bytes

/** An advertisement to all nodes that differs from ours in one thing. */
const advertisement =
  (over: Partial<NeighbourAdvertisement>, {destination = ALL_NODES, hopLimit = 255} = {}): Build =>
  (ip, vmMac, own) =>
    icmpv6Frame(
      {destination: vmMac, source: own},
      {source: ip, destination, hopLimit},
      {
        kind: 'neighbour-advertisement',
        router: true,
        solicited: false,
        override: true,
        target: ip,
        options: [{kind: 'target-link-layer-address', mac: B}],
        ...over,
      },
    )

const flips = (...states: State[]) => new Set<State>(states)
const NO_STATE = flips()
const KNOWN = flips('reachable', 'stale', 'delay')
const ALL_BUT_PERMANENT = flips('none', 'reachable', 'stale', 'delay', 'failed')

const FORMS: readonly (readonly [string, Build, ReadonlySet<State>])[] = [
  ['solicitation for the VM, unicast (--form ask)', ours('ask'), ALL_BUT_PERMANENT],
  ['unsolicited advertisement R=1 O=1 (--form reply)', ours('reply'), KNOWN],
  ['router advertisement (--form ra)', ours('ra'), ALL_BUT_PERMANENT],
  ['unsolicited advertisement O=0', advertisement({override: false}), NO_STATE],
  ['unsolicited advertisement R=0', advertisement({router: false}), KNOWN],
  ['solicited advertisement, unicast', advertisement({solicited: true}, {destination: VM_IP}), KNOWN],
  ['advertisement without a link-layer address', advertisement({options: []}), NO_STATE],
  ['advertisement from off the link (hop limit 64)', advertisement({}, {hopLimit: 64}), NO_STATE],
]

const gatewayOf = (form: number, state: number): string => `fe80::${(0x100 + form * 16 + state).toString(16)}`

async function withVm6<T>(fn: (vm: PairEnd, wire: PairEnd) => Promise<T>): Promise<T> {
  return withPair(async (vm, wire) => {
    await vm.run(
      'sh',
      '-ec',
      `sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.router_solicitations=0 net.ipv6.conf.eth0.disable_ipv6=0
       ip address add ${VM_IP}/64 dev eth0 nodad`,
    )
    // The kernel takes what is sent to it a moment later than it has it.
    const local = await until(
      () => vm.run('ip', '-6', 'route', 'show', 'table', 'local'),
      (routes) => routes.includes(VM_IP),
    )
    expect(local).toContain(VM_IP)
    return fn(vm, wire)
  })
}

const neighbours = async (vm: PairEnd): Promise<ReadonlyMap<string, string | undefined>> => {
  const shown = JSON.parse(await vm.run('ip', '-json', '-6', 'neigh', 'show', 'dev', 'eth0')) as {
    dst: string
    lladdr?: string
  }[]
  return new Map(shown.map(({dst, lladdr}) => [dst, lladdr]))
}

const defaultRouters = async (vm: PairEnd): Promise<string[]> => {
  const routes = JSON.parse(await vm.run('ip', '-json', '-6', 'route', 'show', 'default')) as {
    gateway: string
    nexthops?: {gateway: string}[]
  }[]
  return routes.flatMap(({gateway, nexthops}) => nexthops?.map((hop) => hop.gateway) ?? [gateway])
}

/** Waits for a condition, not for a time. */
async function until<T>(read: () => Promise<T>, ok: (value: T) => boolean): Promise<T> {
  for (const end = performance.now() + 10_000; ; ) {
    const value = await read()
    if (ok(value) || performance.now() > end) return value
    await sleep(50)
  }
}

describe.skipIf(noNamespaces)('Neighbour Discovery and a Linux host', () => {
  it('moves the entry as the table says, and answers solicitations to the new MAC', async () => {
    await withVm6(async (vm, wire) => {
      const entries = FORMS.flatMap((_, f) =>
        STATES.flatMap((state, s) =>
          state === 'none'
            ? []
            : [`neigh replace ${gatewayOf(f, s)} ${state === 'failed' ? '' : `lladdr ${A} `}nud ${state} dev eth0`],
        ),
      )
      await vm.run('sh', '-c', `ip -6 -batch - <<'END'\n${entries.join('\n')}\nEND`)
      await using link = await linkIn(wire.namespace, wire.interface, {promiscuous: true})
      const answers = new Set<string>()
      link.onFrame(({bytes}) => {
        const frame = parseEthernet(bytes)
        if (frame.etherType !== ETHERTYPE_IPV6 || frame.destination !== B) return
        const packet = parseIpv6(frame.payload)
        if (packet.nextHeader !== NEXT_HEADER_ICMPV6) return
        const message = parseIcmpv6(packet.payload, packet)
        if (message.kind === 'neighbour-advertisement' && message.solicited) answers.add(packet.destination)
      })
      for (const [f, [, build]] of FORMS.entries()) {
        for (const s of STATES.keys()) link.send(build(gatewayOf(f, s), vm.mac, link.mac))
      }
      const asked = STATES.filter((state) => state !== 'permanent').map((state) => gatewayOf(0, STATES.indexOf(state)))
      await until(
        async () => answers,
        (seen) => asked.every((ip) => seen.has(ip)),
      )
      const table = await neighbours(vm)
      const moved = FORMS.map(([name], f) => [name, STATES.filter((_, s) => table.get(gatewayOf(f, s)) === B)])
      expect(moved).toEqual(FORMS.map(([name, , want]) => [name, STATES.filter((state) => want.has(state))]))
      expect([...answers].sort()).toEqual(expect.arrayContaining(asked.sort()))
    })
  })

  it('keeps the default route with R=1, and loses it with R=0', async () => {
    await withVm6(async (vm, wire) => {
      await using link = await linkIn(wire.namespace, wire.interface)
      link.send(ours('ra')('fe80::1', vm.mac, link.mac))
      expect(
        await until(
          () => defaultRouters(vm),
          (routers) => routers.length > 0,
        ),
      ).toEqual(['fe80::1'])
      link.send(ours('reply')('fe80::1', vm.mac, link.mac))
      link.send(ours('ask')('fe80::1', vm.mac, link.mac))
      await sleep(100)
      expect(await defaultRouters(vm)).toEqual(['fe80::1'])
      link.send(advertisement({router: false})('fe80::1', vm.mac, link.mac))
      expect(
        await until(
          () => defaultRouters(vm),
          (routers) => routers.length === 0,
        ),
      ).toEqual([])
    })
  })

  it('takes the default route from one router to another by a pair of advertisements', async () => {
    await withVm6(async (vm, wire) => {
      await using link = await linkIn(wire.namespace, wire.interface)
      const target = {vm: {ip: VM_IP, mac: vm.mac}}
      link.send(announcementFrame('ra', {ip: 'fe80::a', mac: A}, target, link.mac).bytes)
      expect(
        await until(
          () => defaultRouters(vm),
          (routers) => routers.length > 0,
        ),
      ).toEqual(['fe80::a'])
      const next = {ip: 'fe80::b', mac: B, old: 'fe80::a'}
      for (const form of ['withdraw', 'ra'] as const) link.send(announcementFrame(form, next, target, link.mac).bytes)
      expect(
        await until(
          () => defaultRouters(vm),
          (routers) => routers.includes('fe80::b') && routers.length === 1,
        ),
      ).toEqual(['fe80::b'])
      expect((await neighbours(vm)).get('fe80::b')).toBe(B)
    })
  })

  it('follows a redirect for one destination, from its own router only', async () => {
    await withVm6(async (vm, wire) => {
      await using link = await linkIn(wire.namespace, wire.interface)
      const target = {vm: {ip: VM_IP, mac: vm.mac}}
      link.send(announcementFrame('ra', {ip: 'fe80::a', mac: A}, target, link.mac).bytes)
      await until(
        () => defaultRouters(vm),
        (routers) => routers.length > 0,
      )
      const via = async (): Promise<string | undefined> => {
        const [route] = JSON.parse(await vm.run('ip', '-json', '-6', 'route', 'get', '2001:db8:9::1')) as {
          gateway?: string
        }[]
        return route?.gateway
      }
      const redirect = (old: string) =>
        link.send(
          announcementFrame('redirect', {ip: 'fe80::b', mac: B, old, destination: '2001:db8:9::1'}, target, link.mac)
            .bytes,
        )
      redirect('fe80::c')
      await sleep(100)
      expect(await via()).toBe('fe80::a')
      redirect('fe80::a')
      expect(await until(via, (gateway) => gateway === 'fe80::b')).toBe('fe80::b')
      expect((await neighbours(vm)).get('fe80::b')).toBe(B)
    })
  })
})
