// A DHCP server without sockets and disk, for tests of it.
import type {ExchangeEvent} from '../../../src/domain/dhcp/control.ts'
import type {Directive, Lease} from '../../../src/domain/dhcp/lease.ts'
import type {Departure} from '../../../src/domain/dhcp/server-events.ts'
import {Failure} from '../../../src/errors.ts'
import {createEngine, type EngineOutside} from '../../../src/services/dhcp/engine.ts'
import {forcerenewer} from '../../../src/services/dhcp/forcerenew.ts'
import {type Dhcp, parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {DHCPDISCOVER, DHCPREQUEST} from '../../../src/wire/dhcp-options.ts'
import {
  booksFor,
  clientMessage,
  factsFor,
  NOW,
  type Options,
  option,
  SERVER,
  VM_IP,
  VM_MAC,
} from '../../domain/dhcp/maker.ts'

/** An engine in memory: what it stores, sends and says is looked at; time is moved by hand. */
export function engineFor(
  over: Partial<EngineOutside> = {},
  facts = factsFor(),
  books = booksFor(facts),
  directives: readonly Directive[] = [],
) {
  const log: string[] = []
  const sent: Departure[] = []
  const events: ExchangeEvent[] = []
  const stored = {leases: [] as Lease[], directives: [] as Directive[]}
  const timers: {atMs: number; fn: () => void; live: boolean}[] = []
  const clock = {nowMs: NOW, failCommits: false}
  const outside: EngineOutside = {
    now: () => BigInt(clock.nowMs) * 1_000_000n,
    newNonce: () => 'ab'.repeat(16),
    commit(leases, directives = []) {
      log.push('commit')
      if (clock.failCommits) throw new Failure('runtime', 'the disk is full')
      stored.leases.push(...leases)
      stored.directives.push(...directives)
    },
    send(departures) {
      log.push('send')
      sent.push(...departures)
    },
    probe: undefined,
    report: (event) => void events.push(event),
    warn: (key) => void log.push(`warn ${key}`),
    maximum: 1472,
    ...over,
  }
  const engine = createEngine(facts, books, directives, outside)
  const renewer = forcerenewer(engine, outside, (ms, fn) => {
    const timer = {atMs: clock.nowMs + ms, fn, live: true}
    timers.push(timer)
    return {
      cancel() {
        timer.live = false
      },
    }
  })
  const pass = (ms: number): void => {
    clock.nowMs += ms
    for (const timer of timers.filter(({atMs, live}) => live && atMs <= clock.nowMs)) {
      timer.live = false
      timer.fn()
    }
  }
  const deliver = async (...messages: (Dhcp | [Dhcp, string])[]): Promise<Dhcp[]> => {
    sent.length = 0
    engine.receive(
      messages.map((each) => {
        const [message, destination] = Array.isArray(each) ? each : [each, '255.255.255.255']
        return {payload: serializeDhcp(message), destination}
      }),
    )
    await settled()
    return sent.map(({payload}) => parseDhcp(payload))
  }
  return {engine, renewer, log, sent, events, stored, clock, pass, deliver, outside, books}
}

/** Whatever was stored has been settled. */
export const settled = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await null
}

export const types = (messages: readonly Dhcp[]) => messages.map((message) => option(message, 'messageType'))
export const vmDiscover = (options: Options = {}) => clientMessage(DHCPDISCOVER, options, {chaddr: VM_MAC})
export const vmSelect = (options: Options = {}, xid = 5) =>
  clientMessage(DHCPREQUEST, {requestedAddress: VM_IP, serverIdentifier: SERVER, ...options}, {chaddr: VM_MAC, xid})
export const vmRenew = (xid = 6, options: Options = {forcerenewNonceCapable: [1]}): [Dhcp, string] => [
  clientMessage(DHCPREQUEST, options, {chaddr: VM_MAC, ciaddr: VM_IP, xid}),
  SERVER,
]
