// Listens to a platform's own events for as long as a service runs: by the platform's own program, by QEMU's monitor, or at
// Nova's RabbitMQ. What ends is begun again.
import {type EventSource, eventReader} from '../../domain/movement/events.ts'
import {freshness} from '../../domain/movement/fresh.ts'
import type {Movement} from '../../domain/movement/movement.ts'
import {Failure} from '../../errors.ts'
import {readNamed} from '../../net/file/text-file.ts'
import {anything} from '../../net/json-shape.ts'
import {linesOf} from '../../net/process/lines-of.ts'
import {ownQueue, readTopic, type Topic} from '../../net/stream/amqp.ts'
import {openQmp} from '../../net/vm-link/qmp.ts'

export interface EventStage {
  /** ms since the epoch. */
  nowMs(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** A line for people. */
  log(line: string): void
}

/** nova/conf/notifications.py and oslo.messaging: a topic exchange by the name of the service. */
const NOVA: Topic = {exchange: 'nova', routingKey: 'versioned_notifications.*'}

/** ms before it is begun again: twice as much each time, and the shortest after it went well for as long as the longest. */
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 60_000

/** @internal */
export const nextPauseMs = (pauseMs: number, ranMs: number): number =>
  ranMs >= LONGEST_PAUSE_MS ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS)

/** What prints the events of a platform; undefined for those that are not printed. */
export function eventCommand({kind, where}: EventSource): readonly string[] | undefined {
  const given = (...words: readonly string[]): readonly string[] => (where === undefined ? [] : [...words, where])
  switch (kind) {
    case 'libvirt':
      return ['virsh', ...given('-c'), 'event', '--event', 'lifecycle', '--loop', '--timestamp']
    case 'kubevirt':
      return ['kubectl', ...given('--context'), 'get', 'vmi', '-A', '-w', '-o', 'json', '--output-watch-events']
    case 'vcenter':
      return ['govc', 'events', '-f', '-json', '-l', ...given()]
    case 'incus':
      return ['incus', 'monitor', ...given(), '--type=lifecycle', '--format=json', '--all-projects']
    default:
      return undefined
  }
}

/** Tells each movement once, until it is disposed of; no program is left then. Never rejects. */
export function openEvents(
  source: EventSource,
  stage: EventStage,
  onMovement: (movement: Movement) => void,
): AsyncDisposable {
  const ending = new AbortController()
  const tell = told(source, stage, onMovement)
  const work = keepOpen(listenTo(source, tell, stage.log), source, stage, ending.signal)
  return {
    async [Symbol.asyncDispose]() {
      ending.abort()
      await work
    },
  }
}

type Listen = (signal: AbortSignal) => Promise<string>

async function keepOpen(listen: Listen, {kind}: EventSource, stage: EventStage, signal: AbortSignal): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS / 2
  while (!signal.aborted) {
    const startedMs = performance.now()
    const why = await listen(signal).catch((error: Error) =>
      error instanceof Failure ? error.message : `internal error: ${error.stack}`,
    )
    if (signal.aborted) return
    pauseMs = nextPauseMs(pauseMs, performance.now() - startedMs)
    stage.log(`no events of ${kind}: ${why}; tried again in ${pauseMs / 1000} s`)
    await stage.sleep(pauseMs, signal).catch(() => {})
  }
}

function told({kind}: EventSource, {nowMs, log}: EventStage, onMovement: (movement: Movement) => void) {
  const judge = freshness(nowMs())
  return (movement: Movement): void => {
    const is = judge(movement)
    if (is === 'new') onMovement(movement)
    else if (is === 'old')
      log(
        `${kind}: ${movement.vm ?? movement.mac} ${movement.kind} ${Math.round((nowMs() - movement.atMs!) / 1000)} s ago, ` +
          'before this began to listen: not acted on (if that is no history: is the clock there right?)',
      )
  }
}

/** One turn of listening: resolves to why it ended. */
function listenTo(source: EventSource, tell: (movement: Movement) => void, log: (line: string) => void): Listen {
  const {kind, where = ''} = source
  const reading = (): ((line: string) => void) => {
    const read = eventReader(kind)
    return (line) => {
      for (const movement of read(line)) tell(movement)
    }
  }
  const command = eventCommand(source)
  if (command !== undefined) {
    // Those of Kubernetes and Incus tell where a VM was before, which holds when the program is started anew.
    const kept = reading()
    const keeps = kind === 'kubevirt' || kind === 'incus'
    return (signal) => linesOf(command, keeps ? kept : reading(), signal)
  }
  const ready = (): void => log(`listening to ${kind}`)
  if (kind === 'qmp') return (signal) => qmpEvents(where, reading(), ready, signal)
  const queue = ownQueue()
  return async (signal) => readTopic(readUrl(where), NOVA, queue, {onMessage: reading(), onReady: ready}, signal)
}

async function qmpEvents(
  path: string,
  read: (line: string) => void,
  ready: () => void,
  signal: AbortSignal,
): Promise<string> {
  const qmp = await openQmp(path, read)
  const close = (): void => qmp.close()
  signal.addEventListener('abort', close, {once: true})
  try {
    // What it answers, the reader reads: who it is, and whether it waits for its memory. NICs that are not virtio tell nothing.
    await qmp.ask('query-name', anything)
    await qmp.ask('query-rx-filter', anything).catch(() => {})
    await qmp.ask('query-status', anything)
    if (signal.aborted) close()
    else ready()
    return await qmp.gone
  } finally {
    signal.removeEventListener('abort', close)
    qmp.close()
  }
}

/** @throws Failure `usage` for a file without a URL of AMQP. */
function readUrl(file: string): string {
  const url = readNamed(file, 'want the URL of a RabbitMQ, in a file that its owner alone may read', 'private').trim()
  if (/^amqps?:\/\/\S+$/.test(url) && URL.canParse(url)) return url
  throw new Failure('usage', `${file}: holds no URL of a RabbitMQ (want amqp://USER:PASSWORD@HOST:5672/)`)
}
