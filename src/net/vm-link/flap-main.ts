// Entry point: flap-main ORDER, which is JSON. Takes a VM's cable out, and puts it in again whatever becomes of whoever began
// it; see flap.ts.
import {setTimeout as delay} from 'node:timers/promises'
import {Failure} from '../../errors.ts'
import {printJson} from '../process/say.ts'
import type {FlapOrder, FlapWord} from './flap.ts'
import {checkLink, raiseLink, setLink} from './vm-link.ts'

const {link: named, downMs, raiseMs} = JSON.parse(process.argv[2] ?? '') as FlapOrder
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
// Whoever reads our lines may be gone.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
const tell = (word: FlapWord): void => printJson(word)
const told = (error: unknown) => ({
  kind: error instanceof Failure ? error.kind : ('runtime' as const),
  message: (error as Error).message,
})

const nothing = (error: unknown): never => {
  tell({did: 'nothing', ...told(error)})
  process.exit(1)
}
/** The hypervisor said no. What else is wrong may have come after it did what it was told, or is about to. */
const isRefusal = (error: unknown): boolean =>
  error instanceof Failure && ['refused', 'usage', 'privilege'].includes(error.kind)

async function main(): Promise<void> {
  const link = await checkLink(named).catch(nothing)
  let wrong: unknown
  try {
    await setLink(link, false)
    tell({did: 'down'})
    await delay(downMs)
  } catch (error) {
    if (isRefusal(error)) nothing(error)
    wrong = error
  }
  try {
    const upMs = Date.now()
    await raiseLink(link, raiseMs)
    if (wrong !== undefined) nothing(wrong)
    tell({did: 'up', upMs})
  } catch (error) {
    tell({did: 'stuck', ...told(error)})
    process.exitCode = 1
  }
}
void main()
