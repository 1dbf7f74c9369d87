import {readFileSync} from 'node:fs'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {realtimeNs} from '../../../src/net/libc.ts'
import {anyOf, etherType, macTests} from '../../../src/net/packet/bpf.ts'
import {openPacketSocket, type ReceivedFrame} from '../../../src/net/packet/packet-socket.ts'
import {watchReadable} from '../../../src/net/packet/readable.ts'
import {BROADCAST, ZERO_MAC} from '../../../src/wire/address.ts'
import {ARP_REQUEST, parseArp} from '../../../src/wire/arp.ts'
import {ETHERTYPE_ARP, parseEthernet} from '../../../src/wire/ethernet.ts'
import {arpFrame, icmpFrame} from '../../../src/wire/frames.ts'
import {gwswitch} from '../../support/cli.ts'
import {noNamespaces, type PairEnd, withPair} from '../../support/namespaces.ts'

const arpOnly = anyOf([[etherType(ETHERTYPE_ARP)]])
const request = (from: PairEnd, to: PairEnd, vlanId?: number): Uint8Array =>
  arpFrame(
    {
      destination: BROADCAST,
      source: from.mac,
      ...(vlanId !== undefined && {vlan: {id: vlanId, priority: 3, dropEligible: false}}),
    },
    {operation: ARP_REQUEST, senderMac: from.mac, senderIp: from.ip, targetMac: ZERO_MAC, targetIp: to.ip},
  )

/** A socket at one end, drained by the event loop; what it received so far. */
function listening(end: PairEnd, options: Partial<Parameters<typeof openPacketSocket>[0]> = {}) {
  const socket = end.inside(() => openPacketSocket({interfaceIndex: end.index, ...options}))
  const frames: ReceivedFrame[] = []
  const watch = watchReadable(socket.fd, () => void socket.drain((frame) => frames.push(frame)))
  const until = async (count: number): Promise<void> => {
    for (let i = 0; i < 2000 && frames.length < count; i++) await delay(5)
  }
  const close = async (): Promise<void> => {
    await watch.stop()
    socket.close()
  }
  return {socket, frames, until, close}
}

describe.skipIf(noNamespaces)('packet sockets', () => {
  it('receive on the event loop, with the kernel time and the kind of address', () =>
    withPair(async (a, b) => {
      const at = listening(b, {filter: arpOnly})
      const sender = a.inside(() => openPacketSocket({interfaceIndex: a.index, filter: anyOf([])}))
      const before = realtimeNs()
      const sentNs = sender.send(request(a, b))
      await at.until(1)
      expect(at.frames).toHaveLength(1)
      const [frame] = at.frames as [ReceivedFrame]
      expect(frame.packetType).toBe('broadcast')
      expect(frame.timestampNs).toBeGreaterThanOrEqual(sentNs)
      expect(sentNs).toBeGreaterThanOrEqual(before)
      expect(frame.timestampNs).toBeLessThan(realtimeNs())
      expect(parseArp(parseEthernet(frame.bytes).payload).senderIp).toBe(a.ip)
      sender.close()
      await at.close()
    }))

  it('show 802.1Q tags, which the kernel takes off', () =>
    withPair(async (a, b) => {
      const at = listening(b, {filter: arpOnly})
      const sender = a.inside(() => openPacketSocket({interfaceIndex: a.index, filter: anyOf([])}))
      sender.send(request(a, b, 100))
      await at.until(1)
      expect(parseEthernet(at.frames[0]!.bytes).vlan).toEqual({id: 100, priority: 3, dropEligible: false})
      sender.close()
      await at.close()
    }))

  it('let through what the filter says and nothing that came before it', () =>
    withPair(async (a, b) => {
      const at = listening(b, {filter: anyOf([[etherType(ETHERTYPE_ARP), ...macTests('source', '02:00:00:00:00:77')]])})
      const sender = a.inside(() => openPacketSocket({interfaceIndex: a.index, filter: anyOf([])}))
      sender.send(request(a, b))
      sender.send(
        icmpFrame(
          {destination: b.mac, source: '02:00:00:00:00:77'},
          {source: a.ip, destination: b.ip},
          {kind: 'echo-request', identifier: 1, sequence: 1, payload: new Uint8Array(8)},
        ),
      )
      sender.send(request({...a, mac: '02:00:00:00:00:77'}, b))
      await at.until(1)
      await delay(20)
      expect(at.frames.map(({bytes}) => parseEthernet(bytes).source)).toEqual(['02:00:00:00:00:77'])
      expect(parseEthernet(at.frames[0]!.bytes).etherType).toBe(ETHERTYPE_ARP)
      sender.close()
      await at.close()
    }))

  it('see frames for other stations only when promiscuous, and their own only when asked to', () =>
    withPair(async (a, b) => {
      const shy = listening(b, {filter: arpOnly})
      const sender = a.inside(() => openPacketSocket({interfaceIndex: a.index, filter: anyOf([])}))
      const elsewhere = request(a, b)
      elsewhere.set([0x02, 0, 0, 0, 0, 0x99])
      sender.send(elsewhere)
      sender.send(request(a, b))
      await shy.until(2)
      // veth hands every frame over; the kind of address tells whose it is.
      expect(shy.frames.map(({packetType}) => packetType)).toEqual(['other-host', 'broadcast'])
      const own = listening(a, {filter: arpOnly, ignoreOutgoing: false, promiscuous: true})
      expect(await a.run('ip', '-d', 'link', 'show', a.interface)).toMatch(/promiscuity [1-9]/)
      sender.send(request(a, b))
      await own.until(1)
      expect(own.frames.map(({packetType}) => packetType)).toContain('outgoing')
      sender.close()
      await shy.close()
      await own.close()
      expect(await a.run('ip', '-d', 'link', 'show', a.interface)).toMatch(/promiscuity 0/)
    }))

  it('send many in batches, all of them and in order', () =>
    withPair(async (a, b) => {
      const at = listening(b, {filter: arpOnly})
      const sender = a.inside(() => openPacketSocket({interfaceIndex: a.index, filter: anyOf([])}))
      // For nobody here: the kernel would remember everybody who asks for it, and has 1024 places for all namespaces together.
      const nobody = {...b, ip: '10.9.255.255'}
      const frames = Array.from({length: 1000}, (_, i) => request({...a, ip: `10.9.${i >>> 8}.${i & 0xff}`}, nobody))
      expect(sender.sendMany(frames)).toBe(1000)
      await at.until(1000)
      expect(at.frames.map(({bytes}) => parseArp(parseEthernet(bytes).payload).senderIp)).toEqual(
        frames.map((_, i) => `10.9.${i >>> 8}.${i & 0xff}`),
      )
      sender.close()
      await at.close()
    }))

  it('wait without using the CPU and without a thread of their own', () =>
    withPair(async (a, b) => {
      const threads = (): number => Number(/^Threads:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1])
      const before = threads()
      const sockets = Array.from({length: 20}, () => listening(b, {filter: arpOnly}))
      expect(threads()).toBe(before)
      const [used, began] = [process.cpuUsage(), performance.now()]
      await delay(500)
      const {user, system} = process.cpuUsage(used)
      expect((user + system) / 1000 / (performance.now() - began)).toBeLessThan(0.2)
      // They do receive, all of them.
      const sender = a.inside(() => openPacketSocket({interfaceIndex: a.index, filter: anyOf([])}))
      sender.send(request(a, b))
      for (const at of sockets) await at.until(1)
      expect(sockets.map(({frames}) => frames.length)).toEqual(sockets.map(() => 1))
      sender.close()
      for (const at of sockets) await at.close()
    }))

  it('are seen by tcpdump as what they are', () =>
    withPair(async (a, b) => {
      const listener = b.run('timeout', '20', 'tcpdump', '-c', '1', '-lnei', b.interface, 'arp')
      const sender = a.inside(() => openPacketSocket({interfaceIndex: a.index, filter: anyOf([])}))
      // Until it listens.
      const sending = setInterval(() => sender.send(request(a, b)), 50)
      try {
        expect(await listener).toMatch(new RegExp(`${a.mac} > ff:ff:ff:ff:ff:ff.*who-has ${b.ip} tell ${a.ip}`))
      } finally {
        clearInterval(sending)
        sender.close()
      }
    }))
})

describe.skipIf(noNamespaces)('failures, each one line and its code', () => {
  const target = ['10.9.0.1', '--vm-ip', '10.9.0.2', '--vm-mac', '02:00:00:00:00:0b']
  it.each<[string, (a: PairEnd) => Promise<unknown>, string[], object, number, RegExp]>([
    [
      'a missing interface',
      async () => {},
      ['-i', 'eth9'],
      {},
      2,
      /^gwswitch: no interface eth9 here; Ethernet interfaces are: /,
    ],
    [
      'a down link',
      (a) => a.run('ip', 'link', 'set', a.interface, 'down'),
      ['-i', 'eth0'],
      {},
      1,
      /^gwswitch: eth0 is down: ip link set eth0 up/,
    ],
    [
      'a missing CAP_NET_RAW',
      async () => {},
      ['-i', 'eth0'],
      {under: ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw']},
      6,
      /^gwswitch: raw frames need CAP_NET_RAW: /,
    ],
  ])('%s', (_name, prepare, flags, options, code, message) =>
    withPair(async (a) => {
      await prepare(a)
      const result = await gwswitch(['garp', ...target, ...flags], {namespace: a.namespace, ...options})
      expect(result.stderr).toMatch(message)
      expect(result.stderr.trim().split('\n')).toHaveLength(1)
      expect(result.code).toBe(code)
    }),
  )

  it('the far end going down is a link without carrier', () =>
    withPair(async (a, b) => {
      await b.run('ip', 'link', 'set', b.interface, 'down')
      const result = await gwswitch(['garp', ...target, '-i', 'eth0'], {namespace: a.namespace})
      expect(result).toMatchObject({code: 1, stderr: expect.stringMatching(/no carrier/)})
    }))
})

describe.skipIf(noNamespaces)('interfaces, routes and neighbours', () => {
  it('are what ip(8) says', () =>
    withPair(async (a, b) => {
      const script = `import(${JSON.stringify(new URL('../../../src/net/ip.ts', import.meta.url).href)}).then(async (m) => console.log(JSON.stringify([
        await m.interfaceByName('eth0'), await m.routeTo('${b.ip}'), await m.routeTo('192.0.2.1'), await m.neighbours('eth0'),
        await m.resolveNeighbour('${b.ip}', 'eth0'), await m.resolveNeighbour('10.9.0.99', 'eth0') ?? null, await m.redirectFacts('eth0')])))`
      const [facts, onLink, none, before, resolved, nobody, redirects] = JSON.parse(
        await a.run(process.execPath, '-e', script),
      )
      expect(facts).toEqual({
        name: 'eth0',
        kind: 'veth',
        index: a.index,
        mac: a.mac,
        mtu: 1500,
        up: true,
        carrier: true,
        ethernet: true,
        addresses: [{ip: a.ip, prefixLength: 24}],
        addresses6: [],
      })
      expect(onLink).toMatchObject({interface: 'eth0', source: a.ip, redirected: false})
      expect(none ?? null).toBeNull()
      expect(before).toEqual([])
      expect(resolved).toMatchObject({ip: b.ip, mac: b.mac})
      expect(nobody).toBeNull()
      expect(redirects).toMatchObject({acceptRedirects: true})
    }))
})
