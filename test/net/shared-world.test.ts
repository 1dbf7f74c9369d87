import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {Failure} from '../../src/errors.ts'
import type {Link, LinkOptions, ReceivedFrame} from '../../src/net/packet/link.ts'
import {sharedLinks} from '../../src/net/packet/shared-links.ts'
import {sharedWorld} from '../../src/net/shared-world.ts'
import type {World} from '../../src/net/world.ts'
import {jointly} from '../../src/probe/together.ts'
import {arpFrame, icmpFrame, udpFrame} from '../../src/wire/frames.ts'
import {until} from '../support/until.ts'
import {fakeWorld} from '../support/world.ts'

const NEVER = new AbortController().signal

describe('what many ask at the same time', () => {
  it('is asked once, and never answered by a question that had begun before', async () => {
    let asked = 0
    const answers: ((value: number) => void)[] = []
    await using shared = sharedWorld({
      ...fakeWorld(),
      routeTo: (() => {
        asked++
        return new Promise((resolve) => answers.push(resolve))
      }) as unknown as World['routeTo'],
    })
    const ask = () => shared.world.routeTo('192.0.2.1')
    const first = [ask(), ask(), ask()]
    await until(async () => asked === 1, 1000, 'it is asked')
    const second = [ask(), ask()]
    answers[0]!(1)
    expect(await Promise.all(first)).toEqual([1, 1, 1])
    await until(async () => asked === 2, 1000, 'it is asked anew')
    answers[1]!(2)
    expect(await Promise.all(second)).toEqual([2, 2])
  })

  it('is asked anew after a failure, and by other words apart', async () => {
    const asked: string[] = []
    await using shared = sharedWorld({
      ...fakeWorld(),
      routeTo: async (to) => {
        asked.push(to)
        throw new Failure('runtime', to)
      },
    })
    const ask = (to: string) => shared.world.routeTo(to).catch(({message}: Error) => message)
    expect(await Promise.all([ask('a'), ask('a'), ask('b')])).toEqual(['a', 'a', 'b'])
    expect(await ask('a')).toBe('a')
    expect(asked).toEqual(['a', 'b', 'a'])
  })

  it('is not waited for by whoever is stopped, and goes on for the others', async () => {
    await using shared = sharedWorld(fakeWorld())
    const stop = new AbortController()
    const answer = Promise.withResolvers<string>()
    const [mine, theirs] = [stop.signal, NEVER].map((signal) =>
      jointly(shared.world, 'what', signal, (either) => {
        expect(either.aborted).toBe(false)
        return answer.promise
      }),
    )
    stop.abort(new Failure('runtime', 'stopped'))
    await expect(mine).rejects.toThrow('stopped')
    answer.resolve('so')
    expect(await theirs).toBe('so')
  })
})

const [VM, OTHER, GATEWAY] = ['02:00:00:00:01:01', '02:00:00:00:01:02', '02:00:00:00:0a:01']
const towards = (source: string) => ({source, destination: GATEWAY!})
const arpOf = (mac: string) =>
  arpFrame(towards(mac), {
    operation: 2,
    senderMac: mac,
    senderIp: '10.0.0.1',
    targetMac: GATEWAY!,
    targetIp: '10.0.0.9',
  })
const ends = {source: '10.0.0.1', destination: '10.0.0.9'}
const echoOf = (mac: string) =>
  icmpFrame(towards(mac), ends, {kind: 'echo-reply', identifier: 1, sequence: 1, payload: new Uint8Array(8)})
const trafficOf = (mac: string) =>
  udpFrame(towards(mac), ends, {sourcePort: 1, destinationPort: 2, payload: new Uint8Array(8)})

function put<T>(into: Set<T>, listener: T): () => void {
  into.add(listener)
  return () => void into.delete(listener)
}

/** Links in memory; what was opened, and how to put a frame in. */
function opener() {
  const opened: {options: LinkOptions; deliver(bytes: Uint8Array): void; closed: boolean; fail(): void}[] = []
  const open = async (name: string, options: LinkOptions = {}): Promise<Link> => {
    const listeners = new Set<(frame: ReceivedFrame) => void>()
    const failing = new Set<(error: Failure) => void>()
    const entry = {
      options,
      closed: false,
      deliver: (bytes: Uint8Array) => {
        for (const each of listeners) each({bytes, timestampNs: 0n, packetType: 'other-host'})
      },
      fail: () => {
        for (const each of failing) each(new Failure('runtime', 'down'))
      },
    }
    opened.push(entry)
    const close = async (): Promise<void> => {
      entry.closed = true
    }
    return {
      ...{name, mac: GATEWAY!, mtu: 1500, send: () => 0n, sendMany: (frames) => frames.length},
      onFrame: (listener) => put(listeners, listener),
      onError: (listener) => put(failing, listener),
      ...{close, [Symbol.asyncDispose]: close},
    }
  }
  return {open, opened}
}

describe('links that many VMs share', () => {
  it('are one socket an interface, which each hears its own VM by', async () => {
    const {open, opened} = opener()
    const {openLink, close} = sharedLinks(open)
    const heard: string[] = []
    const links = await Promise.all([VM, OTHER].map((vm) => openLink('br0', {vm: vm!})))
    for (const [i, link] of links.entries()) link.onFrame(() => heard.push(`${i}`))
    await openLink('br1', {vm: VM!})
    await openLink('br0')
    expect(opened).toHaveLength(3)
    for (const vm of [VM!, OTHER!, VM!]) opened[0]!.deliver(arpOf(vm))
    await links[0]!.close()
    opened[0]!.deliver(arpOf(VM!))
    expect(heard).toEqual(['0', '1', '0'])
    expect(opened[0]!.closed).toBe(false)
    await close()
    expect(opened.map(({closed}) => closed)).toEqual([true, true, false])
  })

  it('hear a VM that has not told by its answers by a socket of its own too, and nothing twice', async () => {
    const {open, opened} = opener()
    const {openLink, close} = sharedLinks(open)
    const link = await openLink('br0', {vm: VM!, filter: [], outgoing: true})
    const heard: Uint8Array[] = []
    link.onFrame(({bytes}) => heard.push(bytes))
    await until(async () => opened.length === 2, 5000, 'it has one of its own')
    await delay(0)
    expect(opened[1]!.options).toMatchObject({filter: [], outgoing: true})
    for (const each of opened) {
      each.deliver(echoOf(VM!))
      each.deliver(arpOf(VM!))
    }
    opened[1]!.deliver(trafficOf(VM!))
    expect(heard).toEqual([echoOf(VM!), arpOf(VM!), trafficOf(VM!)])
    await link.close()
    expect(opened[1]!.closed).toBe(true)
    await close()
  })

  it('are opened anew at an interface that went down', async () => {
    const {open, opened} = opener()
    const {openLink, close} = sharedLinks(open)
    const errors: string[] = []
    ;(await openLink('br0', {vm: VM!})).onError(({message}) => errors.push(message))
    opened[0]!.fail()
    await openLink('br0', {vm: VM!})
    expect(opened).toHaveLength(2)
    expect(errors).toEqual(['down'])
    await close()
  })
})
