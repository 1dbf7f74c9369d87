// Sends echo probes through chosen first hops and pairs each with its answer.
import type {Link, ReceivedFrame} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {type EchoAnswer, echoProbeFrame, readEchoAnswer} from './echo-probe.ts'

/** What came back for one probe, with the time between two kernel clocks' readings. */
export type ProbeAnswer = Exclude<EchoAnswer, {kind: 'redirect'}> & {readonly rttMs: number}

export interface ProbeOrder {
  /** MAC of the first hop. */
  readonly via: Mac
  readonly ttl: number
  /** Flow number, from 0. */
  readonly flow: number
}

export interface Prober {
  /** Sends one probe now. Resolves to its answer, or to undefined when `timeoutMs` has passed. */
  send(order: ProbeOrder): Promise<ProbeAnswer | undefined>
  /** Redirects that probes of this run have caused so far. */
  readonly redirects: readonly Extract<EchoAnswer, {kind: 'redirect'}>[]
  stop(): void
}

export interface ProberOptions {
  readonly source: Ipv4
  readonly destination: Ipv4
  readonly flows: number
  readonly timeoutMs: number
}

export function startProber(link: Link, world: World, options: ProberOptions): Prober {
  const firstIdentifier = Math.floor(world.random() * 0xffff)
  const identifierOf = (flow: number): number => (firstIdentifier + flow) & 0xffff
  const owns = (identifier: number): boolean => ((identifier - firstIdentifier) & 0xffff) < options.flows
  const ends = {source: options.source, destination: options.destination, owns}
  const waiting = new Map<number, (answer: EchoAnswer & {sequence: number}, atNs: bigint) => void>()
  const redirects: Extract<EchoAnswer, {kind: 'redirect'}>[] = []
  let sequence = 0

  const unsubscribe = link.onFrame((received: ReceivedFrame) => {
    const answer = readEchoAnswer(received.bytes, ends)
    if (answer?.kind === 'redirect') redirects.push(answer)
    else if (answer) waiting.get(answer.sequence)?.(answer, received.timestampNs)
  })

  return {
    redirects,
    stop() {
      unsubscribe()
      waiting.clear()
    },
    send({via, ttl, flow}) {
      sequence = (sequence + 1) & 0xffff
      const mine = sequence
      const frame = echoProbeFrame({
        sourceMac: link.mac,
        destinationMac: via,
        source: options.source,
        destination: options.destination,
        ttl,
        identifier: identifierOf(flow),
        sequence: mine,
      })
      return new Promise((resolve, reject) => {
        let sentNs = 0n
        const answered = new AbortController()
        waiting.set(mine, (answer, atNs) => {
          waiting.delete(mine)
          answered.abort()
          resolve({...answer, rttMs: Math.max(0, Number(atNs - sentNs) / 1e6)} as ProbeAnswer)
        })
        try {
          sentNs = link.send(frame)
        } catch (error) {
          waiting.delete(mine)
          reject(error)
          return
        }
        world.sleep(options.timeoutMs, answered.signal).then(
          () => {
            waiting.delete(mine)
            resolve(undefined)
          },
          () => {},
        )
      })
    },
  }
}
