// What a row has at hand during one migration.
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {tryCommand} from '../../net/process/command.ts'
import {namespaceCommand} from '../../net/process/netns.ts'
import {ownCommand} from '../../net/process/program.ts'
import {labEnvironment} from '../processes.ts'
import {labFiles} from '../state.ts'
import {type LabSite, namespaceOf} from '../topology.ts'
import type {RunRig} from './rig.ts'
import type {Stage} from './row.ts'
import {type Service, startService} from './service.ts'

/** Its services end when it does. */
export function runStage(
  {prefix, vm, machine, gateways, inventory, dhcp}: RunRig,
  from: LabSite,
  to: LabSite,
  folder: string,
  signal: AbortSignal,
): Stage & AsyncDisposable {
  const {journal} = labFiles(prefix)
  const env = {...labEnvironment(prefix), GWSWITCH_JOURNAL: journal}
  const services: Service[] = []
  const inNode = (node: string, argv: readonly string[]): string[] => namespaceCommand(namespaceOf(prefix, node), argv)
  const stage: Stage = {
    ...{prefix, vm, machine, gateways, from, to, dhcp},
    file: (name) => join(folder, name),
    run(node, argv) {
      const [program = '', ...args] = inNode(node, argv)
      return tryCommand(program, args, {env, signal})
    },
    inventory: readFileSync(inventory, 'utf8'),
    async gwswitch(node, args, file = inventory) {
      return ended(await stage.run(node, ownCommand([...args, '-f', file, '--json'])))
    },
    async serve(node, args, ready) {
      services.push(await startService(prefix, node, [...args, '-f', inventory], ready, true, env))
    },
  }
  return {
    ...stage,
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.end()))
    },
  }
}

/** `switched (served), 0`. */
function ended({code, stdout, stderr}: Awaited<ReturnType<typeof tryCommand>>): string {
  try {
    const document = JSON.parse(stdout) as {end?: string; code?: string; error?: {message: string} | null}
    const why = document.error?.message ?? document.code
    return `${document.end ?? 'done'}${why === undefined ? '' : ` (${why})`}, exit ${code}`
  } catch {
    return `exit ${code}: ${stderr.trim().split('\n')[0] ?? ''}`
  }
}
