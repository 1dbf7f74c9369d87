// QEMU's monitor (QEMU, docs/interop/qmp-spec): JSON objects by line; a greeting, then commands, and events at any time. It
// serves one client at a time, and obeys whoever may open its socket.
import {Failure} from '../../errors.ts'
import {anything, list, number, optional, record, type Shape, shaped, text} from '../json-shape.ts'
import {connectUnix, onLines} from '../stream/unix-socket.ts'

export interface Qmp {
  /** @throws Failure `refused` with QEMU's words, `silent` if it says nothing, `runtime` if that is none of QMP's. */
  ask<T>(execute: string, shape: Shape<T>, parameters?: object): Promise<T>
  /** Resolves to why, when QEMU has gone or we have closed. */
  readonly gone: Promise<string>
  close(): void
}

const ANSWER_MS = 5000
const LINE_LIMIT = 1 << 20
const SAID = record({
  QMP: optional(anything),
  id: optional(number),
  return: optional(anything),
  error: optional(record({desc: text})),
})
const isSaid = (value: unknown): value is Said => SAID(value) === undefined
type Said = NonNullable<(typeof SAID)['type']>

/**
 * Connects, and resolves when commands are taken. `onLine` gets all that QEMU says from then on, events too; each answer may
 * take `answerMs`. @throws Failure as {@link connectUnix} does, and as `ask`.
 */
export async function openQmp(
  path: string,
  onLine: (line: string) => void = () => {},
  answerMs = ANSWER_MS,
): Promise<Qmp> {
  const socket = await connectUnix(path, 'QEMU', 'does the VM run on this host, with a QMP socket there?')
  let waiting: {fits(said: Said): boolean; resolve(said: Said): void; reject(error: Failure): void} | undefined
  let broken: Failure | undefined
  const {promise: gone, resolve: end} = Promise.withResolvers<string>()
  const fail = (why: Failure): void => {
    broken ??= why
    waiting?.reject(broken)
    end(broken.message)
    socket.destroy()
  }
  socket.on('error', () => fail(new Failure('silent', `${path}: QEMU went away`)))
  socket.on('close', () => fail(new Failure('silent', `${path}: QEMU went away`)))
  const notQmp = (): void => fail(new Failure('runtime', `${path}: what answers there is not QEMU's monitor`))
  onLines(
    socket,
    (line) => {
      const said = parsed(line)
      if (!isSaid(said)) return notQmp()
      if (waiting?.fits(said)) waiting.resolve(said)
      onLine(line.toString())
    },
    LINE_LIMIT,
    notQmp,
  )
  async function next(fits: (said: Said) => boolean): Promise<Said> {
    if (broken) throw broken
    const {promise, resolve, reject} = Promise.withResolvers<Said>()
    const busy = 'is another program connected? It serves one at a time'
    const late = setTimeout(() => fail(new Failure('silent', `${path}: QEMU says nothing (${busy})`)), answerMs)
    waiting = {fits, resolve, reject}
    return promise.finally(() => {
      clearTimeout(late)
      waiting = undefined
    })
  }
  let count = 0
  async function ask<T>(execute: string, shape: Shape<T>, parameters?: object): Promise<T> {
    const id = ++count
    const answer = next((said) => said.id === id)
    socket.write(`${JSON.stringify({execute, arguments: parameters, id})}\n`)
    const {error, return: returned} = await answer
    if (error) throw new Failure('refused', `${path}: ${execute}: ${error.desc}`)
    return shaped(returned, `${path}: ${execute}`, shape)
  }
  try {
    await next(({QMP}) => QMP !== undefined)
    await ask('qmp_capabilities', anything)
  } catch (error) {
    socket.destroy()
    throw error
  }
  return {ask, gone, close: () => void socket.destroy()}
}

function parsed(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString())
  } catch {
    return undefined
  }
}

const FILTERS = list(record({name: text, 'main-mac': text}))

/** How QEMU calls the NIC with that MAC; only virtio ones tell it (`query-rx-filter`). @throws Failure `usage` if none does. */
export async function nicOf(qmp: Qmp, mac: string, path: string): Promise<string> {
  const found = (await qmp.ask('query-rx-filter', FILTERS)).find((each) => each['main-mac'].toLowerCase() === mac)
  if (found) return found.name
  throw new Failure('usage', `${path}: no virtio NIC of this VM says that its MAC is ${mac} (want its id in "nic")`)
}

/**
 * @throws Failure `refused` if there is no such NIC, `usage` if it tells another MAC; only virtio ones tell any.
 */
export async function checkNic(qmp: Qmp, nic: string, mac: string, path: string): Promise<void> {
  let told: string | undefined
  try {
    told = (await qmp.ask('query-rx-filter', FILTERS, {name: nic}))[0]?.['main-mac'].toLowerCase()
  } catch (error) {
    if (error instanceof Failure && error.message.includes("doesn't support rx-filter")) return
    throw error
  }
  if (told !== undefined && told !== mac)
    throw new Failure('usage', `${path}: the MAC of the NIC ${nic} is ${told}, not ${mac}`)
}
