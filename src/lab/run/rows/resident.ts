// The resident service of a site, as rows start it and speak to it.
import {connectUnix, onLines} from '../../../net/stream/unix-socket.ts'
import {until} from '../../until.ts'
import type {Stage} from '../row.ts'

const READY_MS = 30_000

const socketOf = (stage: Stage): string => stage.file('site.sock')

/** On the hypervisor that the VM comes to; resolves when its plans are ready, and its gateway was asked. */
export async function serveSite(stage: Stage, ...more: readonly string[]): Promise<void> {
  // What an earlier one has proved is not known to it.
  const journal = stage.file('journal.db')
  const args = ['serve', 'site', stage.to, '--control', socketOf(stage), '--journal', journal, ...more]
  await stage.serve(stage.machine.host(stage.to), args, /orders by/)
  const {name} = stage.gateways[stage.to]
  await until(
    async () => {
      const {plans, gateways} = await askSite(stage, 'status')
      const serves = (gateways as {gateway: string; state: string}[]).some(
        ({gateway, state}) => gateway === name && state === 'serves',
      )
      return (plans as number) > 0 && serves
    },
    READY_MS,
    `serve site is ready for ${stage.vm.name}`,
    50,
  )
}

/** A line to its control socket, and what it answers. */
export async function askSite(stage: Stage, line: string): Promise<Readonly<Record<string, unknown>>> {
  const socket = await connectUnix(socketOf(stage), 'the service')
  const {promise, resolve, reject} = Promise.withResolvers<string>()
  onLines(socket, (said) => resolve(said.toString()))
  socket.once('error', reject).once('close', () => reject(new Error('the service says nothing')))
  socket.end(`${line}\n`)
  return JSON.parse(await promise) as Readonly<Record<string, unknown>>
}
