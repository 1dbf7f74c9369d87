// Which frame moves a Linux host's neighbour entry, in which state, within the lock time and after it: on this kernel.
import {setTimeout as sleep} from 'node:timers/promises'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import type {ReceivedFrame} from '../../src/net/packet/link.ts'
import {announcementFrame} from '../../src/strategies/arp/frames.ts'
import {BROADCAST, ZERO_MAC} from '../../src/wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, parseArp} from '../../src/wire/arp.ts'
import {ETHERTYPE_ARP, parseEthernet} from '../../src/wire/ethernet.ts'
import {arpFrame} from '../../src/wire/frames.ts'
import {noNamespaces, type PairEnd, withPair} from '../support/namespaces.ts'
import {linkIn} from './arp-link.ts'

const A = '02:00:00:00:0a:01'
const B = '02:00:00:00:0b:01'
const STATES = ['none', 'incomplete', 'reachable', 'stale', 'delay', 'probe', 'failed', 'permanent'] as const
type State = (typeof STATES)[number]

interface Ends {
  readonly gateway: string
  readonly vm: {readonly ip: string; readonly mac: string}
}
type Build = (ends: Ends, own: string) => Uint8Array

const ours =
  (form: 'ask' | 'reply' | 'request', broadcast: boolean): Build =>
  ({gateway, vm}, own) =>
    announcementFrame(form, {ip: gateway, mac: B}, {vm, broadcast}, own).bytes
const other =
  (
    destination: 'broadcast' | 'vm',
    operation: number,
    targetMac: string | 'vm',
    target: 'gateway' | 'vm' | 'other',
    sender?: string,
  ): Build =>
  ({gateway, vm}, own) =>
    arpFrame(
      {destination: destination === 'vm' ? vm.mac : BROADCAST, source: own},
      {
        operation,
        senderMac: B,
        senderIp: sender ?? gateway,
        targetMac: targetMac === 'vm' ? vm.mac : targetMac,
        targetIp: {gateway, vm: vm.ip, other: '10.9.0.77'}[target],
      },
    )

/** `always`; `late`: only after the lock time; a list: in these states only. Per form, by the state of the entry. */
const GRATUITOUS = {
  none: '-',
  incomplete: 'always',
  reachable: 'always',
  stale: 'always',
  delay: 'always',
  probe: 'always',
  failed: 'always',
  permanent: '-',
} as const
const ORDINARY = {...GRATUITOUS, reachable: 'late', stale: 'late', delay: 'late', probe: 'late'} as const
const ASKING = {...GRATUITOUS, none: 'always'} as const
const NEVER = Object.fromEntries(STATES.map((state) => [state, '-'])) as Readonly<Record<State, '-'>>

const FORMS: readonly (readonly [string, Build, Readonly<Record<State, '-' | 'always' | 'late'>>, boolean])[] = [
  ['gratuitous reply, broadcast (--form reply --broadcast)', ours('reply', true), GRATUITOUS, false],
  [
    'reply to everybody with a broadcast target MAC',
    other('broadcast', ARP_REPLY, BROADCAST, 'gateway'),
    ORDINARY,
    false,
  ],
  [
    'gratuitous request with a broadcast target MAC',
    other('broadcast', ARP_REQUEST, BROADCAST, 'gateway'),
    GRATUITOUS,
    false,
  ],
  ['gratuitous request, broadcast (--form request --broadcast)', ours('request', true), GRATUITOUS, false],
  ['gratuitous reply, unicast (--form reply)', ours('reply', false), GRATUITOUS, false],
  ['gratuitous request, unicast (--form request)', ours('request', false), GRATUITOUS, false],
  ['ordinary reply to the VM', other('vm', ARP_REPLY, 'vm', 'vm'), ORDINARY, false],
  ['who-has VM tell GATEWAY, unicast (--form ask)', ours('ask', false), ASKING, true],
  ['who-has VM tell GATEWAY, broadcast (--form ask --broadcast)', ours('ask', true), ASKING, true],
  ['who-has another host tell GATEWAY', other('broadcast', ARP_REQUEST, ZERO_MAC, 'other'), ORDINARY, false],
  ['reply to the VM, broadcast', other('broadcast', ARP_REPLY, 'vm', 'vm'), ORDINARY, false],
  ['ARP probe for GATEWAY', other('broadcast', ARP_REQUEST, ZERO_MAC, 'gateway', '0.0.0.0'), NEVER, false],
]

const gatewayOf = (form: number, state: number): string => `10.9.0.${100 + form * STATES.length + state}`

interface Trial {
  readonly lladdr: ReadonlyMap<string, string | undefined>
  /** Gateways to whose questions the VM answered. */
  readonly answered: ReadonlySet<string>
}

/** All cells at once: each has a gateway address of its own in the VM's table. */
async function trial(vm: PairEnd, wire: PairEnd, waitMs: number): Promise<Trial> {
  await vm.run('ip', 'neigh', 'flush', 'nud', 'all', 'dev', vm.interface)
  const entries = FORMS.flatMap((_, f) =>
    STATES.flatMap((state, s) => (state === 'none' ? [] : [entry(gatewayOf(f, s), state)])),
  )
  const before = performance.now()
  await vm.run(
    'sh',
    '-c',
    `ip -batch - <<'END'\n${entries.map((line) => `${line} dev ${vm.interface}`).join('\n')}\nEND`,
  )
  await sleep(waitMs)
  const link = await linkIn(wire.namespace, wire.interface, {promiscuous: true})
  const answered = new Set<string>()
  try {
    link.onFrame((frame) => void answered.add(answerTo(frame) ?? ''))
    const target = {ip: vm.ip, mac: vm.mac}
    link.sendMany(
      FORMS.flatMap(([, build], f) => STATES.map((_, s) => build({gateway: gatewayOf(f, s), vm: target}, link.mac))),
    )
    // A trial within the lock time that took longer says nothing.
    if (waitMs === 0 && performance.now() - before > 700) return await trial(vm, wire, waitMs)
    await sleep(150)
  } finally {
    await link.close()
  }
  const shown = JSON.parse(await vm.run('ip', '-json', '-4', 'neigh', 'show', 'dev', vm.interface)) as {
    dst: string
    lladdr?: string
  }[]
  return {lladdr: new Map(shown.map(({dst, lladdr}) => [dst, lladdr])), answered}
}

const entry = (ip: string, state: State): string =>
  `neigh replace ${ip} ${state === 'incomplete' || state === 'failed' ? '' : `lladdr ${A} `}nud ${state}`

function answerTo({bytes}: ReceivedFrame): string | undefined {
  const frame = parseEthernet(bytes)
  if (frame.etherType !== ETHERTYPE_ARP) return undefined
  const arp = parseArp(frame.payload)
  return arp.operation === ARP_REPLY && arp.targetMac === B ? arp.targetIp : undefined
}

describe.skipIf(noNamespaces)('frames and neighbour states of a Linux host', () => {
  let within: Trial
  let after: Trial
  let end: () => void = () => {}
  let done: Promise<void>
  beforeAll(async () => {
    await new Promise<void>((resolve, reject) => {
      done = withPair(async (vm, wire) => {
        within = await trial(vm, wire, 0)
        after = await trial(vm, wire, 1400)
        resolve()
        await new Promise<void>((finish) => {
          end = finish
        })
      })
      done.catch(reject)
    })
  })
  afterAll(async () => {
    end()
    await done
  })

  describe.each(FORMS.map(([name, , expected, answers], f) => ({name, expected, answers, f})))(
    '$name',
    ({expected, answers, f}) => {
      it.each(STATES.map((state, s) => ({state, ip: gatewayOf(f, s), want: expected[state]})))(
        '$state: $want',
        ({ip, want}) => {
          expect({within: within.lladdr.get(ip) === B, after: after.lladdr.get(ip) === B}).toEqual({
            within: want === 'always',
            after: want !== '-',
          })
        },
      )
      it(answers ? 'is answered in every state' : 'is not answered', () => {
        const count = STATES.filter(
          (_, s) => within.answered.has(gatewayOf(f, s)) && after.answered.has(gatewayOf(f, s)),
        ).length
        expect(count).toBe(answers ? STATES.length : 0)
      })
    },
  )
})
