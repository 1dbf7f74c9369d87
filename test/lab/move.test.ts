// VMs that move, and what their traffic, their sessions and their segments go through.
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {countersBetween, type GatewayCounters, gatewayCounters} from '../../src/lab/counters.ts'
import type {DciKind} from '../../src/lab/options.ts'
import {labProcesses} from '../../src/lab/processes.ts'
import {type SessionReport, startSession} from '../../src/lab/session.ts'
import {status} from '../../src/lab/status.ts'
import {interfaceIn, labTopology, SEGMENTS, SHARED_GATEWAY_IP} from '../../src/lab/topology.ts'
import {ANNOUNCE_AT_MS, moveVm, vmSites} from '../../src/lab/vms.ts'
import {openPacketSocket, type PacketSocket, type ReceivedFrame} from '../../src/net/packet/packet-socket.ts'
import {inNamespace} from '../../src/net/process/netns.ts'
import {ARP_REPLY, ARP_REQUEST, type Arp, parseArp, serializeArp} from '../../src/wire/arp.ts'
import {ETHERTYPE_ARP, ETHERTYPE_RARP, parseEthernet, serializeEthernet} from '../../src/wire/ethernet.ts'
import {noNamespaces, type TestLab, withLab} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

/** A packet socket on an interface of the lab. */
const openOn = ({options, ns}: TestLab, node: string, name: string): PacketSocket =>
  inNamespace(ns(node), () =>
    openPacketSocket({interfaceIndex: interfaceIn(labTopology(options), node, name).index, promiscuous: true}),
  )

function drained(socket: PacketSocket): ReceivedFrame[] {
  const frames: ReceivedFrame[] = []
  socket.drain((frame) => void frames.push(frame))
  return frames
}

const phase = (report: SessionReport, name: string) => ({
  tcp: report.tcp.phases.find((candidate) => candidate.name === name)!,
  udp: report.udp.phases.find((candidate) => candidate.name === name)!,
})

const packets = (counters: readonly GatewayCounters[], gateway: string): {egress: number; inbound: number} => {
  const found = counters.find((candidate) => candidate.gateway === gateway)!
  return {egress: found.egress.packets, inbound: found.inbound.packets}
}

describe.skipIf(noNamespaces)('a VM that moves', {timeout: 60_000}, () => {
  it.each<[DciKind, string]>([
    ['vxlan', 'db-03'],
    ['plain', 'web-07'],
  ])('over a %s DCI, %s: trombones, keeps its sessions, and leaves by Y once it is told', async (dci, vm) => {
    // Distances that a busy machine does not hide, each way a sum of its own.
    const [dciDelayMs, wanDelayMs] = [60, 40]
    await withLab({dci, dciDelayMs, wanDelayMs}, async (lab) => {
      const {prefix} = lab
      const [atX, atY] = SEGMENTS.find(({gateways}) =>
        gateways.some(({name}) => name === (vm === 'db-03' ? 'bx' : 'rx')),
      )!.gateways.map(({name}) => name) as [string, string]
      await using session = await startSession(prefix, vm, 'user-y')
      await sleep(400)
      const start = await gatewayCounters(prefix)

      await session.mark('trombone')
      const move = await moveVm(prefix, vm, 'y')
      expect(move).toMatchObject({vm, from: 'x', to: 'y'})
      expect((await vmSites(prefix))[vm]).toBe('y')
      await move.announced
      await sleep(200)
      const moved = await gatewayCounters(prefix)
      expect((await status(prefix)).vms?.find(({name}) => name === vm)?.gateway).toEqual({name: atX, site: 'x'})

      await session.mark('switched')
      if (vm === 'web-07') await lab.run(vm, 'ip', 'route', 'replace', 'default', 'via', '10.0.0.2')
      else await lab.run(vm, 'ip', 'neigh', 'replace', SHARED_GATEWAY_IP, 'lladdr', '02:00:00:00:0b:02', 'dev', 'eth0')
      await sleep(200)
      const settled = await gatewayCounters(prefix)
      const since = async (): Promise<GatewayCounters[]> => countersBetween(settled, await gatewayCounters(prefix))
      await until(async () => packets(await since(), atY).egress > 50, 20_000, 'it leaves by Y')
      const switched = await since()
      const report = await session.stop()

      // Before and after the move it leaves through X, and every answer comes in through Y.
      const trombone = countersBetween(start, moved)
      expect(packets(trombone, atX).egress).toBeGreaterThan(50)
      expect(packets(trombone, atX).inbound).toBe(0)
      expect(packets(trombone, atY).egress).toBe(0)
      expect(packets(trombone, atY).inbound).toBeGreaterThan(50)
      expect(packets(switched, atX).egress).toBe(0)

      // At X: out by the WAN, back by the DCI. At Y by X: out by DCI and WAN, back at once. At Y by Y: no distance.
      const far = dciDelayMs + wanDelayMs
      for (const {rttMinMs, rttMedianMs} of [phase(report, 'start').udp, phase(report, 'trombone').udp]) {
        expect(rttMinMs! / far).toBeLessThan(1.1)
        expect(rttMedianMs! / far).toBeGreaterThan(0.995)
        expect(rttMedianMs! / far).toBeLessThan(1.5)
      }
      expect(phase(report, 'switched').udp.rttMinMs! / far).toBeLessThan(0.2)
      expect(phase(report, 'switched').tcp.rttMinMs! / far).toBeLessThan(0.2)

      expect(report.tcp).toMatchObject({contiguous: true, reconnects: 0})
      expect(report.tcp.echoed).toBe(report.tcp.sent)
      expect(report.tcp.sent).toBeGreaterThan(100)
      expect(report.udp.duplicated).toBe(0)
      // Lost are at most those that were under way to the old place, one every 10 ms: the DCI's delay and the move itself.
      expect(report.udp.sent - report.udp.echoed).toBeLessThan(20 + dciDelayMs / 10)
      expect(labProcesses(prefix)).toHaveLength(1)
    })
  })

  it('keeps its carrier, its addresses and its neighbours, and is at one site at a time', async () => {
    await withLab({dciDelayMs: 1, wanDelayMs: 1}, async (lab) => {
      const {prefix, run} = lab
      await run('db-03', 'ping', '-c', '1', '-W', '2', '198.51.100.10')
      const seen = (): Promise<string[]> =>
        Promise.all([
          run('db-03', 'cat', '/sys/class/net/eth0/carrier_changes'),
          run('db-03', 'ip', '-brief', 'address', 'show', 'dev', 'eth0'),
          run('db-03', 'sh', '-c', 'ip neigh show 10.1.0.254 | cut -d" " -f1-5'),
        ])
      const before = await seen()
      await (await moveVm(prefix, 'db-03', 'y')).announced
      expect(await seen()).toEqual(before)
      // Seen from both sites once: no second copy by the other uplink.
      for (const gateway of ['rx', 'ry']) {
        const output = await run(gateway, 'arping', '-c', '2', '-w', '3', '-I', 'seg-b', '10.1.0.10')
        expect(output).toContain('Received 2 response(s)')
      }
      const there = await moveVm(prefix, 'db-03', 'y')
      expect(there).toMatchObject({from: 'y', to: 'y', arrivedNs: undefined})
      await (await moveVm(prefix, 'db-03', 'x')).announced
      expect(await vmSites(prefix)).toEqual({'web-07': 'x', 'db-03': 'x'})
      expect(await seen()).toEqual(before)
    })
  })

  it('announces itself as QEMU does, and switches of both sites learn where it is', async () => {
    await withLab({dciDelayMs: 5}, async (lab) => {
      const atY = openOn(lab, 'sw-y', 'web-07')
      const atX = openOn(lab, 'sw-x', 'gw-a')
      const inside = openOn(lab, 'web-07', 'eth0')
      const move = await moveVm(lab.prefix, 'web-07', 'y')
      await move.announced
      await sleep(50)
      const announcements = drained(atY).filter(({bytes}) => parseEthernet(bytes).etherType === ETHERTYPE_RARP)
      const times = announcements.map(({timestampNs}) => Number(timestampNs - move.arrivedNs!) / 1e6)
      expect(times).toHaveLength(ANNOUNCE_AT_MS.length)
      const late = times.map((time, i) => time - ANNOUNCE_AT_MS[i]!)
      expect(Math.min(...late)).toBeGreaterThan(-2)
      // Each has its own time: a halt of the machine makes one of them late, and not those after it. If each waited for the
      // one before, the last two would come 250 and 700 ms late.
      expect(Math.min(...late.slice(-2)) / ANNOUNCE_AT_MS.at(-1)!).toBeLessThan(0.1)
      // What QEMU 7.2 was recorded to send: broadcast, reverse request, the VM's MAC twice, no address.
      const recorded = `ffffffffffff02000000001080350001080006040003${'02000000001000000000'.repeat(2)}${'00'.repeat(18)}`
      expect(new Set(announcements.map(({bytes}) => Buffer.from(bytes).toString('hex')))).toEqual(new Set([recorded]))
      // The VM itself did not send them and does not see them.
      expect(drained(inside).filter(({bytes}) => parseEthernet(bytes).etherType === ETHERTYPE_RARP)).toEqual([])
      for (const socket of [atY, atX, inside]) socket.close()

      const learned = async (node: string): Promise<string> =>
        lab.run(node, 'sh', '-c', 'bridge fdb show br br-a | grep 02:00:00:00:00:10 | cut -d" " -f3 | sort -u')
      expect(await learned('sw-x')).toBe('dci-a\n')
      expect(await learned('sw-y')).toBe('web-07\n')
    })
  })

  it('is refused by name and by site in one line', async () => {
    await withLab({}, async ({prefix}) => {
      await expect(moveVm(prefix, 'web-08', 'y')).rejects.toThrow('there is no VM web-08: want web-07 or db-03')
      await expect(moveVm(prefix, 'web-07', 'z' as 'y')).rejects.toThrow('there is no site z: want x or y')
      await expect(moveVm('none', 'web-07', 'y')).rejects.toThrow('lab none is not up')
      await expect(startSession(prefix, 'web-07', 'user-z')).rejects.toThrow('want user-x or user-y')
    })
  })
})

describe.skipIf(noNamespaces)('a session', {timeout: 60_000}, () => {
  it('shows a stretch without network as a gap, and lost datagrams as lost', async () => {
    await withLab({dciDelayMs: 0, wanDelayMs: 0}, async ({prefix, run}) => {
      await using session = await startSession(prefix, 'db-03', 'user-x', {intervalMs: 5})
      await sleep(200)
      await session.mark('cut')
      // The user's router falls silent for half a second: no carrier change at either end.
      await run('rx', 'sysctl', '-qw', 'net.ipv4.ip_forward=0')
      await sleep(500)
      const cut = await session.report()
      await run('rx', 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
      await sleep(1200)
      await session.mark('after')
      await sleep(200)
      const after = await session.report()
      const report = await session.stop()
      expect(phase(report, 'cut').udp.lost).toBe(report.udp.sent - report.udp.echoed)
      expect(phase(report, 'after').udp.lost).toBe(0)
      // Datagrams are missing, so the client waited for them at the end: no stretch without network.
      for (const flow of ['tcp', 'udp'] as const)
        expect(phase(report, 'after')[flow].longestGapMs - phase(after, 'after')[flow].longestGapMs).toBeLessThan(400)
      expect(phase(cut, 'cut').tcp.longestGapMs).toBeGreaterThan(450)
      expect(phase(report, 'cut').udp.longestGapMs).toBeGreaterThan(450)
      expect(report.udp.sent - report.udp.echoed).toBeGreaterThan(phase(cut, 'cut').udp.sent / 2)
      expect(report.tcp).toMatchObject({contiguous: true, reconnects: 0})
      expect(report.tcp.echoed).toBe(report.tcp.sent)
    })
  })

  it('shows a connection that was cut as a reconnect and as not contiguous', async () => {
    await withLab({dciDelayMs: 0, wanDelayMs: 0}, async ({prefix, run}) => {
      await using session = await startSession(prefix, 'db-03', 'user-x', {intervalMs: 5})
      await sleep(200)
      await run('user-x', 'ip', 'link', 'set', 'eth0', 'down')
      await sleep(50)
      await run('user-x', 'ss', '-K', 'src', '198.51.100.10')
      await run('user-x', 'ip', 'link', 'set', 'eth0', 'up')
      await run('user-x', 'ip', 'route', 'replace', 'default', 'via', '198.51.100.1')
      await until(async () => (await session.report()).tcp.reconnects > 0, 20_000, 'it connects again')
      const report = await session.stop()
      expect(report.tcp.reconnects).toBe(1)
      expect(report.tcp.contiguous).toBe(false)
    })
  })

  it('ends with whoever started it', async () => {
    await withLab({}, async ({prefix}) => {
      const session = await startSession(prefix, 'db-03', 'user-x')
      expect(labProcesses(prefix)).toHaveLength(3)
      await session[Symbol.asyncDispose]()
      expect(labProcesses(prefix)).toHaveLength(1)
    })
  })
})

const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const VM_MAC = '02:00:00:00:01:10'
const GATEWAY_X = '02:00:00:00:0a:02'
const ZERO = '00:00:00:00:00:00'

/** ARP that claims or asks for the shared gateway IP, in every form; and some that does not, which must pass. */
const STAYS: readonly (readonly [string, Arp])[] = [
  ['who-has gateway', arp(ARP_REQUEST, VM_MAC, '10.1.0.10', ZERO, SHARED_GATEWAY_IP)],
  ['gateway is-at', arp(ARP_REPLY, GATEWAY_X, SHARED_GATEWAY_IP, VM_MAC, '10.1.0.10')],
  ['gratuitous request', arp(ARP_REQUEST, GATEWAY_X, SHARED_GATEWAY_IP, ZERO, SHARED_GATEWAY_IP)],
  ['gratuitous reply', arp(ARP_REPLY, GATEWAY_X, SHARED_GATEWAY_IP, GATEWAY_X, SHARED_GATEWAY_IP)],
  ['who-has other tell gateway', arp(ARP_REQUEST, GATEWAY_X, SHARED_GATEWAY_IP, ZERO, '10.1.0.77')],
]
const PASSES: readonly (readonly [string, Arp])[] = [
  ['who-has other', arp(ARP_REQUEST, VM_MAC, '10.1.0.10', ZERO, '10.1.0.77')],
  ['gratuitous of another', arp(ARP_REQUEST, VM_MAC, '10.1.0.10', ZERO, '10.1.0.10')],
]
const LAST = arp(ARP_REQUEST, VM_MAC, '10.1.0.10', ZERO, '10.1.0.78')

function arp(operation: number, senderMac: string, senderIp: string, targetMac: string, targetIp: string): Arp {
  return {operation, senderMac, senderIp, targetMac, targetIp}
}

const framed = (packet: Arp, vlanId: number | undefined): Uint8Array =>
  serializeEthernet({
    destination: BROADCAST,
    source: packet.senderMac,
    ...(vlanId !== undefined && {vlan: {id: vlanId, priority: 0, dropEligible: false}}),
    etherType: ETHERTYPE_ARP,
    payload: serializeArp(packet),
  })

/** Which of the frames that `from` sends, each untagged and tagged, arrive at `to`. */
async function arriving(from: PacketSocket, to: PacketSocket): Promise<string[]> {
  drained(to)
  const sent = [...STAYS, ...PASSES].flatMap(([name, packet]) => [
    {name, packet, tag: undefined},
    {name: `${name}, tagged`, packet, tag: 5},
  ])
  for (const {packet, tag} of sent) from.send(framed(packet, tag))
  // What comes behind them and passes everywhere says that they would have come.
  const last = Buffer.from(framed(LAST, undefined))
  from.send(last)
  const frames: Uint8Array[] = []
  const isThrough = async (): Promise<boolean> => {
    frames.push(...drained(to).map(({bytes}) => bytes))
    return frames.some((bytes) => last.equals(bytes))
  }
  await until(isThrough, 10_000, 'the last frame is through')
  const seen = frames.map((bytes) => parseEthernet(bytes))
  return sent
    .filter(({packet, tag}) =>
      seen.some(
        ({etherType, vlan, payload}) =>
          etherType === ETHERTYPE_ARP &&
          vlan?.id === tag &&
          JSON.stringify(parseArp(payload)) === JSON.stringify(packet),
      ),
    )
    .map(({name}) => name)
}

const names = (group: typeof STAYS): string[] => group.flatMap(([name]) => [name, `${name}, tagged`])

describe.skipIf(noNamespaces)('ARP for the shared gateway IP', {timeout: 60_000}, () => {
  it.each<DciKind>(['vxlan', 'plain'])('stays inside its site on a %s DCI', async (dci) => {
    await withLab({dci, dciDelayMs: 2}, async (lab) => {
      const vm = openOn(lab, 'db-03', 'eth0')
      const dciAtY = openOn(lab, 'sw-y', 'dci-b')
      const gatewayAtY = openOn(lab, 'ry', 'seg-b')
      const gatewayAtX = openOn(lab, 'rx', 'seg-b')
      // It does not even leave site X; at its own site everybody hears it.
      expect(await arriving(vm, dciAtY)).toEqual(names(PASSES))
      expect(await arriving(vm, gatewayAtX)).toEqual(names([...STAYS, ...PASSES]))
      // With site X unguarded, site Y's own guard holds.
      await lab.run('sw-x', 'nft', 'delete', 'table', 'bridge', 'lab')
      expect(await arriving(vm, dciAtY)).toEqual(names([...STAYS, ...PASSES]))
      expect(await arriving(vm, gatewayAtY)).toEqual(names(PASSES))
      // And without any, it would cross: the capture can see it.
      await lab.run('sw-y', 'nft', 'delete', 'table', 'bridge', 'lab')
      expect(await arriving(vm, gatewayAtY)).toEqual(names([...STAYS, ...PASSES]))
      for (const socket of [vm, dciAtY, gatewayAtY, gatewayAtX]) socket.close()
    })
  })

  it('is asked and answered at either site by the gateway of that site alone', async () => {
    await withLab({dciDelayMs: 2}, async (lab) => {
      const answer = async (): Promise<string[]> => {
        await lab.run('db-03', 'ip', 'neigh', 'flush', 'dev', 'eth0')
        const vm = openOn(lab, 'db-03', 'eth0')
        await lab.run('db-03', 'ping', '-c', '1', '-W', '2', SHARED_GATEWAY_IP)
        await sleep(50)
        const replies = drained(vm)
          .map(({bytes}) => parseEthernet(bytes))
          .filter(({etherType}) => etherType === ETHERTYPE_ARP)
          .map(({payload}) => parseArp(payload))
          .filter(({operation, senderIp}) => operation === ARP_REPLY && senderIp === SHARED_GATEWAY_IP)
        vm.close()
        return replies.map(({senderMac}) => senderMac)
      }
      expect(await answer()).toEqual([GATEWAY_X])
      await (await moveVm(lab.prefix, 'db-03', 'y')).announced
      expect(await answer()).toEqual(['02:00:00:00:0b:02'])
    })
  })

  it('is never what a gateway asks with: it asks with its own address', async () => {
    await withLab({dciDelayMs: 2}, async (lab) => {
      const vm = openOn(lab, 'db-03', 'eth0')
      const asked: string[] = []
      for (const router of ['rx', 'ry']) {
        await lab.run(router, 'ip', 'neigh', 'flush', 'dev', 'seg-b')
        // From the shared address itself, as when it answers a ping.
        await lab.run(router, 'ping', '-c', '1', '-W', '2', '-I', SHARED_GATEWAY_IP, '10.1.0.10').catch(() => {})
      }
      for (const {bytes} of drained(vm)) {
        const {etherType, payload} = parseEthernet(bytes)
        if (etherType === ETHERTYPE_ARP && parseArp(payload).operation === ARP_REQUEST)
          asked.push(parseArp(payload).senderIp)
      }
      vm.close()
      expect(new Set(asked)).toEqual(new Set(['10.1.0.252', '10.1.0.253']))
    })
  })
})
