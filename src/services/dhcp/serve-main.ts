// Entry point of the DHCP server as a process of its own: serve-main ORDER-FILE. What `gwswitch serve dhcp` becomes.
import {EXIT, Failure} from '../../errors.ts'
import {lineWriter} from '../../net/file/line-writer.ts'
import {systemWorld} from '../../net/system-world.ts'
import {takeOrder} from './become.ts'
import {serveDhcp} from './serve.ts'

const {options, inventory, json} = takeOrder(process.argv[2] ?? '')
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Failure('runtime', `stopped by ${signal}`)))
}
const writer = lineWriter(2)
const print = (document: unknown): void => void process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`)
try {
  const document = await serveDhcp(
    options,
    inventory,
    systemWorld(() => {}),
    {log: writer.write, signal: stop.signal},
  )
  if (json) print(document)
} catch (error) {
  const kind = error instanceof Failure ? error.kind : 'runtime'
  process.exitCode = EXIT[kind]
  if (json) print({error: {kind, exit: EXIT[kind], message: (error as Error).message}})
  else process.stderr.write(`gwswitch: ${error instanceof Failure ? error.message : (error as Error).stack}\n`)
} finally {
  writer.flush()
}
