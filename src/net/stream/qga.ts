// The QEMU guest agent behind its host socket: one JSON object a line (QEMU, docs/interop/qemu-ga-ref). Whoever may open
// the socket is obeyed inside the VM as root.
import {setTimeout as delay} from 'node:timers/promises'
import {Failure} from '../../errors.ts'
import {type Ipv4, isIpv4, type Mac} from '../../wire/address.ts'
import {type Ipv6, readIpv6} from '../../wire/ipv6-address.ts'
import {anything, flag, list, number, optional, record, type Shape, type Shaped, shaped, text} from '../json-shape.ts'
import type {CommandResult} from '../process/command.ts'
import {connectUnix, onLines, type UnixSocket} from './unix-socket.ts'

/** A NIC of the guest, as `guest-network-get-interfaces` tells. */
export interface GuestInterface {
  readonly name: string
  /** Lower case; undefined for interfaces without one. */
  readonly mac: Mac | undefined
  readonly addresses: readonly {readonly ip: Ipv4 | Ipv6; readonly length: number}[]
}

export interface GuestRunOptions {
  /** Written to its standard input. */
  readonly input?: string
  readonly timeoutMs?: number
}

export interface GuestAgent {
  interfaces(): Promise<readonly GuestInterface[]>
  /**
   * Runs a program and waits for its end; a code other than 0 is a result, not an error.
   * @throws Failure `refused` if the agent may not run programs or there is no such program, `silent` if it goes on.
   */
  run(argv: readonly string[], options?: GuestRunOptions): Promise<CommandResult>
  /** Starts a program, whose output goes nowhere, and leaves it alone; resolves to its pid. */
  start(argv: readonly string[]): Promise<number>
  close(): void
}

/** Before and after it there may be the rest of what was said to an earlier client. */
const DELIMITER = 0xff
/** Longest line that is read; `capture-output` is capped at 16 MB by the agent. */
const LINE_LIMIT = 1 << 20
const ANSWER_MS = 5000
const RUN_MS = 10_000
const POLL_MS = [5, 10, 20, 40, 80, 100]

// What the guest says is whatever whoever rules there wants to say.
const ANSWER = record({
  return: anything,
  error: optional(record({class: optional(text), desc: optional(text)})),
})
const STARTED = record({pid: number})
const STATUS = record({
  exited: flag,
  exitcode: optional(number),
  'out-data': optional(text),
  'err-data': optional(text),
})
const INTERFACES = list(
  record({
    name: text,
    'hardware-address': optional(text),
    'ip-addresses': optional(list(record({'ip-address': text, prefix: number}))),
  }),
)

/**
 * Connects and synchronises. The socket serves one client at a time: while another one is connected, nobody answers.
 * @throws Failure `silent` if no agent answers, `privilege` if the socket is not ours to open.
 */
export async function openGuestAgent(socket: string, signal: AbortSignal): Promise<GuestAgent> {
  signal.throwIfAborted()
  const question = "is the VM running on this host, with a guest agent's channel?"
  const lines = linesOf(await connectUnix(socket, 'QEMU', question), socket, signal)
  try {
    await lines.sync(ANSWER_MS)
  } catch (error) {
    lines.close()
    throw error
  }
  return guestAgent(socket, (request) => lines.ask(request, ANSWER_MS), signal, lines.close)
}

/**
 * What the protocol says, over whatever carries requests one at a time. `ask` resolves to an answer as it was read.
 * `where` names it in messages. Answers that are none of the protocol's are a Failure `runtime`.
 */
export function guestAgent(
  where: string,
  ask: (request: object) => Promise<unknown>,
  signal: AbortSignal,
  close: () => void,
): GuestAgent {
  const call = async <T>(shape: Shape<T>, execute: string, parameters?: object): Promise<T> => {
    const what = `${where}: ${execute}`
    const answer = shaped(await ask({execute, ...(parameters && {arguments: parameters})}), what, ANSWER)
    if (answer.error) throw refusal(where, execute, answer.error)
    return shaped(answer.return, what, shape)
  }
  const start = async (argv: readonly string[], options: object): Promise<number> => {
    const [path, ...arg] = argv
    return (await call(STARTED, 'guest-exec', {path, arg, ...options})).pid
  }
  return {
    close,
    start: (argv) => start(argv, {}),
    async run(argv, {input, timeoutMs = RUN_MS} = {}) {
      const stdin = input === undefined ? {} : {'input-data': Buffer.from(input).toString('base64')}
      const pid = await start(argv, {'capture-output': true, ...stdin})
      const deadline = performance.now() + timeoutMs
      for (let poll = 0; performance.now() < deadline; poll++) {
        const status = await call(STATUS, 'guest-exec-status', {pid}).catch(lost)
        if (status.exited) return resultOf(status)
        await delay(POLL_MS[poll] ?? POLL_MS.at(-1), undefined, {signal}).catch(() => signal.throwIfAborted())
      }
      throw new Failure('silent', `${where}: "${argv.join(' ')}" in the guest did not end in ${timeoutMs / 1000} s`)
    },
    async interfaces() {
      const raw = await call(INTERFACES, 'guest-network-get-interfaces')
      return raw.map((each) => ({
        name: each.name,
        mac: each['hardware-address']?.toLowerCase(),
        addresses: (each['ip-addresses'] ?? []).flatMap((address) => addressOf(address['ip-address'], address.prefix)),
      }))
    },
  }
}

/** A program that was started runs on, though an agent that was started anew since knows nothing of it. */
function lost(error: unknown): never {
  if (!(error instanceof Failure) || error.kind !== 'refused') throw error
  throw new Failure('silent', `${error.message}; what came of the program that was started is not known`)
}

/** None for what is no address, or no prefix of it. */
function addressOf(said: string, length: number): GuestInterface['addresses'] {
  const ip = isIpv4(said) ? said : readIpv6(said)
  return ip === undefined || !isWhole(length, isIpv4(ip) ? 32 : 128) ? [] : [{ip, length}]
}

const isWhole = (value: number, max: number): boolean => Number.isInteger(value) && value >= 0 && value <= max

const decoded = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString()

const resultOf = (status: Shaped<typeof STATUS>): CommandResult => ({
  code: status.exitcode ?? null,
  stdout: decoded(status['out-data']),
  stderr: decoded(status['err-data']),
})

/** The agent's errors are of one class but for commands that it does not take. */
function refusal(
  where: string,
  execute: string,
  {class: kind, desc}: NonNullable<Shaped<typeof ANSWER>['error']>,
): Failure {
  const unknown = kind === 'CommandNotFound' || /has been disabled|not (?:been )?enabled/.test(desc ?? '')
  if (!unknown) return new Failure('refused', `${where}: ${execute}: ${desc ?? 'refused'}`)
  return new Failure(
    'refused',
    `${where}: the guest's agent does not take ${execute} (${desc ?? kind}): allow it there (block-rpcs or ` +
      'BLACKLIST_RPC in its configuration), or run gwswitch agent in the VM',
  )
}

interface Lines {
  /** Resolves to the next answer, as JSON has it. */
  ask(request: object, timeoutMs: number): Promise<unknown>
  sync(timeoutMs: number): Promise<void>
  close(): void
}

/** Lines one after the other; after a delimiter everything before it is forgotten. */
function linesOf(socket: UnixSocket, path: string, signal: AbortSignal): Lines {
  let waiting: {take(line: string, delimited: boolean): void; fail(error: Failure): void} | undefined
  let broken: Failure | undefined
  const fail = (error: Failure): void => {
    broken ??= error
    waiting?.fail(broken)
    socket.destroy()
  }
  socket.on('error', () => fail(new Failure('silent', `${path}: the guest's agent went away`)))
  socket.on('close', () => fail(new Failure('silent', `${path}: the guest's agent went away`)))
  const take = (line: Buffer): void => {
    const from = line.lastIndexOf(DELIMITER)
    const said = line
      .subarray(from + 1)
      .toString()
      .trim()
    if (said !== '') waiting?.take(said, from >= 0)
  }
  onLines(socket, take, LINE_LIMIT, () => fail(new Failure('runtime', `${path}: a line of over ${LINE_LIMIT} bytes`)))
  const abort = (): void => fail(new Failure('runtime', 'stopped'))
  signal.addEventListener('abort', abort, {once: true})

  /** Sends, and resolves with what `pick` makes of a line; lines of which it makes nothing are not for us. */
  async function exchange<T>(
    bytes: Uint8Array,
    timeoutMs: number,
    pick: (line: string, delimited: boolean) => T | undefined,
  ): Promise<T> {
    signal.throwIfAborted()
    if (broken) throw broken
    const {promise, resolve, reject} = Promise.withResolvers<T>()
    const late = setTimeout(
      () =>
        fail(
          new Failure(
            'silent',
            `${path}: no guest agent answers (it serves one client at a time: is another connected?)`,
          ),
        ),
      timeoutMs,
    )
    waiting = {
      fail: reject,
      take(line, delimited) {
        const picked = pick(line, delimited)
        if (picked !== undefined) resolve(picked)
      },
    }
    try {
      socket.write(bytes)
      return await promise
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      clearTimeout(late)
      waiting = undefined
    }
  }

  return {
    ask: (request, timeoutMs) =>
      exchange(Buffer.from(`${JSON.stringify(request)}\n`), timeoutMs, (line) => parsed(line)),
    async sync(timeoutMs) {
      const id = (process.pid * 0x10000 + Math.floor(performance.now() * 16)) % 0x7fff_ffff
      // The delimiter ends whatever an earlier client began to say; the agent answers that with an error.
      const bytes = [
        Buffer.of(DELIMITER),
        Buffer.from(`${JSON.stringify({execute: 'guest-sync-delimited', arguments: {id}})}\n`),
      ]
      await exchange(Buffer.concat(bytes), timeoutMs, (line, delimited) =>
        delimited && isReturn(parsed(line), id) ? true : undefined,
      )
    },
    close() {
      signal.removeEventListener('abort', abort)
      socket.destroy()
    },
  }
}

const isReturn = (answer: unknown, id: number): boolean =>
  ANSWER(answer) === undefined && (answer as Shaped<typeof ANSWER>).return === id

/** Undefined for what is no JSON: half a line of somebody else's. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
