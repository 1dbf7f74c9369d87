// What answers like QEMU's monitor, for what QEMU itself would not do.
import {createServer} from 'node:net'
import {createInterface} from 'node:readline'

export interface QmpDouble {
  /** `set_link` as it was asked for, with when, ms. */
  readonly asked: {readonly name: string; readonly up: boolean; readonly atMs: number}[]
  close(): void
}

export interface QmpDoubleOptions {
  /** In place of a greeting. */
  readonly greeting?: string
  readonly macs?: Readonly<Record<string, string>>
  /** How many times `set_link up` is refused before it is obeyed. */
  readonly stubborn?: number
  /** It goes away without an answer to the first `set_link`, which it obeys. */
  readonly breaks?: boolean
}

export async function qmpDouble(
  path: string,
  {
    greeting = '{"QMP": {"version": {}, "capabilities": []}}',
    macs = {},
    stubborn = 0,
    breaks = false,
  }: QmpDoubleOptions = {},
): Promise<QmpDouble> {
  const asked: QmpDouble['asked'] = []
  let left = stubborn
  const answer = (execute: string, {name, up}: {name: string; up: boolean}): object => {
    if (execute === 'query-rx-filter' && name !== undefined && name !== 'e1000') {
      const mac = macs[name]
      return mac === undefined
        ? {error: {class: 'GenericError', desc: `invalid net client name: ${name}`}}
        : {return: [{name, 'main-mac': mac}]}
    }
    if (execute === 'query-rx-filter' && name !== undefined)
      return {error: {class: 'GenericError', desc: `net client(${name}) doesn't support rx-filter querying`}}
    if (execute === 'query-rx-filter')
      return {return: Object.entries(macs).map(([nic, mac]) => ({name: nic, 'main-mac': mac, promiscuous: false}))}
    if (execute !== 'set_link') return {return: {}}
    if (!Object.hasOwn(macs, name)) return {error: {class: 'DeviceNotFound', desc: `Device '${name}' not found`}}
    asked.push({name, up, atMs: performance.now()})
    return up && left-- > 0 ? {error: {class: 'GenericError', desc: 'not now'}} : {return: {}}
  }
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.write(`${greeting}\n`)
    createInterface({input: socket}).on('line', (line) => {
      const {execute, id, arguments: args} = JSON.parse(line)
      if (breaks && execute === 'set_link' && asked.length === 0) {
        answer(execute, args)
        socket.destroy()
        return
      }
      socket.write(`{"event": "NIC_RX_FILTER_CHANGED", "data": {}, "timestamp": {"seconds": 1, "microseconds": 2}}\n`)
      socket.write(`${JSON.stringify({id, ...answer(execute, args ?? {})})}\n`)
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {asked, close: () => void server.close()}
}
