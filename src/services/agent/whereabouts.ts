// Where the VM is: beacons come in, round trips are measured, notes go out. What to do when is decided in domain/agent.
import {randomBytes} from 'node:crypto'
import {admissions} from '../../domain/agent/admission.ts'
import {type BeaconReason, judgeBeacon} from '../../domain/agent/beacons.ts'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {type PolicyFacts, prefixesContain} from '../../domain/agent/facts.ts'
import type {AgentMemory} from '../../domain/agent/memory.ts'
import {
  dueMs,
  NOTHING_HEARD,
  type NoteOrder,
  type SentNote,
  step,
  type WatchAction,
  type WatchEvent,
} from '../../domain/agent/site-watch.ts'
import {NUD_REACHABLE} from '../../net/netlink/neighbour-message.ts'
import {type AgentNote, openBeacon, type SiteBeacon, signNote} from '../../wire/agent-beacon.ts'
import {NOTE_PORT, type SigningKey, type SilentReason, withTag} from '../../wire/agent-message.ts'
import {type Endpoint, endpointText, readEndpoint} from '../../wire/endpoint.ts'
import type {AgentKernel} from './kernel.ts'
import type {AgentKeys} from './keys.ts'
import {gatewaysInUse, readFacts} from './routes.ts'

/** What the agent knows of where it is, for `agent status`. Ages in seconds. */
export interface SiteStatus {
  readonly beacons: boolean
  readonly site: string | null
  readonly phase: string
  readonly heard: readonly {
    readonly kid: string
    readonly site: string
    readonly segment: string | null
    readonly gateways: readonly string[]
    readonly ageS: number
  }[]
  /** Beacons that counted, and those that did not by reason. */
  readonly counts: BeaconCounts
  readonly note: (Omit<SentNote, 'atMs' | 'site'> & {readonly site: string | null; readonly ageS: number}) | null
}

export interface BeaconCounts {
  readonly heeded: number
  readonly ignored: Readonly<Partial<Record<SilentReason | BeaconReason, number>>>
}

export interface Whereabouts {
  /** A message that claims to be a beacon, from that address. Never throws. */
  hear(bytes: Uint8Array, from?: string): void
  /** A NIC announces itself. */
  moved(): void
  /** A switch command is obeyed. */
  switched(): void
  /** It has ended otherwise than confirmed. */
  switchFailed(): void
  /** What was confirmed is so no more. */
  gatewayLost(): void
  status(): SiteStatus
  stop(): void
}

export interface WhereaboutsParts {
  readonly config: AgentConfig
  readonly kernel: AgentKernel
  readonly key: SigningKey
  readonly keys: Pick<AgentKeys, 'trusted' | 'keyOf' | 'problem'>
  memory(): AgentMemory
  send(note: string, to: Endpoint): void
}

/** Of beacons without a tag: a site sends one every two seconds. Commands have a budget of their own. */
const UNTAGGED = {perSecond: 20, burst: 40}
const RECENT_MS = 5000

export function makeWhereabouts({config, kernel, key, keys, memory, send}: WhereaboutsParts): Whereabouts {
  const admits = admissions(UNTAGGED)
  const counts = {heeded: 0, ignored: {} as Partial<Record<SilentReason | BeaconReason, number>>}
  const lastSeq = new Map<string, number>()
  const stopping = new AbortController()
  let watch = NOTHING_HEARD
  let timer: NodeJS.Timeout | undefined
  let noteSeq = 0
  let tagged = false
  /** Routes and addresses as of a moment ago: a beacon a second is no reason to read them all each time. */
  let recent: {readonly facts: PolicyFacts; readonly atMs: number} | undefined

  const readNow = (): PolicyFacts => readFacts(kernel, memory())
  function readRecent(nowMs: number): PolicyFacts {
    if (recent === undefined || nowMs - recent.atMs > RECENT_MS) recent = {facts: readNow(), atMs: nowMs}
    return recent.facts
  }

  function take(event: WatchEvent, facts?: PolicyFacts): void {
    if (stopping.signal.aborted) return
    const nowMs = kernel.uptime()
    const done = step(watch, event, {
      nowMs,
      beacons: config.beacons,
      keys: keys.trusted.filter(({kid}) => keys.problem(kid) === undefined).length,
      askOnMove: config.askOnMove,
      gateways: () => gatewaysInUse(facts ?? readNow()),
    })
    watch = done.watch
    clearTimeout(timer)
    const due = dueMs(watch)
    // At least 10 ms: the kernel's uptime goes in steps of that.
    if (due !== undefined) timer = setTimeout(() => take({kind: 'tick'}), Math.max(10, due - nowMs))
    for (const action of done.actions) act(action)
  }

  function act(action: WatchAction): void {
    if (action.kind === 'log') kernel.log(action.text)
    else if (action.kind === 'note') ask(action)
    else void measure(action)
  }

  async function measure({round, targets}: WatchAction & {kind: 'measure'}): Promise<void> {
    const addresses = targets.map(({address}) => address)
    const nic = nicOf(readNow())
    let rtts: ReadonlyMap<string, number> = new Map()
    let resolved: ReadonlySet<string> = new Set()
    try {
      if (nic !== undefined) {
        rtts = await kernel.echoRtts(addresses, nic.name, stopping.signal)
        const confirmed = kernel
          .neighbours()
          .filter((entry) => entry.interfaceIndex === nic.index && isConfirmed(entry))
        resolved = new Set(confirmed.map(({ip}) => ip))
      }
    } catch (error) {
      kernel.log(`round trips not measured: ${(error as Error).message}`)
    }
    take({kind: 'rtts', round, rtts, resolved})
  }

  function ask({why, site, to}: NoteOrder): void {
    const facts = readNow()
    const mac = nicOf(facts)?.mac
    // µs since 1970: grows across restarts too.
    noteSeq = Math.max(Math.round(kernel.now() * 1000), noteSeq + 1)
    const note: AgentNote = {
      ...{v: 1, vm: config.vm, ...(mac === undefined ? {} : {mac})},
      ...{seq: noteSeq, iat: Math.floor(kernel.now() / 1000), nonce: randomBytes(12).toString('base64url')},
      ...gatewaysInUse(facts),
      ...{why, ...(site === undefined ? {} : {site})},
    }
    const token = signNote(note, key)
    // In turn: controllers before 0.2 know no tags.
    tagged = !tagged
    for (const endpoint of to) send(tagged ? withTag(token, key) : token, endpoint)
    const what = site === undefined ? 'a gateway, wherever this is' : `the gateway of site ${site}`
    kernel.log(`asked ${to.map(endpointText).join(', ')} for ${what} (${why})`)
  }

  function judge(bytes: Uint8Array, from: string | undefined): SilentReason | BeaconReason | undefined {
    const opened = openBeacon(
      bytes,
      (kid) => (keys.problem(kid) === undefined ? keys.keyOf(kid) : undefined),
      (claim) => admits(claim, from, performance.now()),
    )
    if (!opened.ok) return opened.authenticated ? 'invalid' : opened.reason
    const nowMs = kernel.uptime()
    const {kid, message: beacon} = opened
    const facts = readRecent(nowMs)
    const nic = nicOf(facts)
    const judged = judgeBeacon(
      beacon,
      kid,
      {...config, trusted: keys.trusted},
      {
        nowMs: kernel.now(),
        lastSeq: lastSeq.get(kid),
        onLink: (address) => nic !== undefined && prefixesContain(nic, address),
      },
    )
    if (typeof judged === 'string') return judged
    lastSeq.set(kid, beacon.seq)
    take({kind: 'beacon', kid, heard: heardOf(beacon, judged.gateways, nowMs)}, facts)
    return undefined
  }

  return {
    hear(bytes, from) {
      const reason = config.beacons ? judge(bytes, from) : 'wrong_typ'
      if (reason === undefined) counts.heeded++
      else counts.ignored[reason] = (counts.ignored[reason] ?? 0) + 1
    },
    moved() {
      recent = undefined
      take({kind: 'notify_peers'})
    },
    switched() {
      recent = undefined
      take({kind: 'switch'})
    },
    switchFailed() {
      recent = undefined
      // Not in the middle of what the switcher still has to do: this reads the routes.
      setImmediate(() => take({kind: 'switch_failed'}))
    },
    gatewayLost() {
      const {site, phase, heard} = watch
      const near = Object.values(heard).filter((each) => each.site === site && each.untilMs > kernel.uptime())
      const to = [...near.flatMap((each) => each.ask), ...config.askOnMove]
      // Whoever is being asked already will do something about it.
      if (phase.kind === 'settled' && to.length > 0) ask({why: 'gateway_lost', site, to})
    },
    status() {
      const nowMs = kernel.uptime()
      const ageS = (atMs: number): number => Math.round((nowMs - atMs) / 100) / 10
      const {site, phase, heard, note} = watch
      return {
        beacons: config.beacons,
        site: site ?? null,
        phase: phase.kind,
        heard: Object.entries(heard)
          .filter(([, {untilMs}]) => untilMs > nowMs)
          .map(([kid, each]) => ({
            ...{kid, site: each.site, segment: each.segment ?? null},
            ...{gateways: each.gateways, ageS: ageS(each.atMs)},
          })),
        counts,
        note:
          note === undefined ? null : {why: note.why, site: note.site ?? null, ageS: ageS(note.atMs), sent: note.sent},
      }
    },
    stop() {
      stopping.abort()
      clearTimeout(timer)
    },
  }
}

const heardOf = ({site, segment, iat, exp, ask = []}: SiteBeacon, gateways: readonly string[], nowMs: number) => ({
  ...{site, segment, gateways, atMs: nowMs, untilMs: nowMs + (exp - iat) * 1000},
  ask: ask.map((text) => readEndpoint(text, NOTE_PORT)!),
})

/** It answered a moment ago. */
const isConfirmed = ({state}: {readonly state: number}): boolean => (state & NUD_REACHABLE) !== 0

/** The NIC of the host's default route. */
function nicOf({nics, families}: PolicyFacts) {
  const [index] = ([4, 6] as const).flatMap((family) => {
    const {overlay, routes} = families[family]
    return overlay?.interfaceIndex ?? routes[0]?.interfaceIndex ?? []
  })
  return nics.find((nic) => nic.index === index)
}
