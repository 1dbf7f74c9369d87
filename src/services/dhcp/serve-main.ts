// Entry point of the DHCP server as a process of its own: serve-main ORDER-FILE. What `gwswitch serve dhcp` becomes.
import {isatty} from 'node:tty'
import {EXIT, Failure} from '../../errors.ts'
import {lineWriter} from '../../net/file/line-writer.ts'
import {printJson, say, sayStack} from '../../net/process/say.ts'
import {systemWorld} from '../../net/system-world.ts'
import {takeOrder} from './become.ts'
import {serveDhcp} from './serve.ts'

const {options, inventory, json} = takeOrder(process.argv[2] ?? '')
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Failure('runtime', `stopped by ${signal}`)))
}
// A terminal that hangs up ends what was started on it. Until the server serves, it has read what there is to read.
const reloads = !isatty(0)
let reload = (): void => {}
if (reloads) process.on('SIGHUP', () => reload())
const writer = lineWriter(2)
async function main(): Promise<void> {
  try {
    const document = await serveDhcp(
      options,
      inventory,
      systemWorld(() => {}),
      {log: writer.write, signal: stop.signal, onReload: (fn) => (reload = fn)},
    )
    if (json) printJson(document, 2)
  } catch (error) {
    const kind = error instanceof Failure ? error.kind : 'runtime'
    process.exitCode = EXIT[kind]
    if (json) printJson({error: {kind, exit: EXIT[kind], message: (error as Error).message}}, 2)
    else if (error instanceof Failure) say(`gwswitch: ${error.message}`)
    else sayStack('gwswitch: ', error as Error)
  } finally {
    writer.flush()
  }
}
void main()
