// The shim as it is installed (npm run build), at the bridge of a lab.
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {ControlAnswers, ControlRequest, ControlResponse} from '../../src/domain/dhcp/control.ts'
import {connectJson} from '../../src/net/stream/json-lines.ts'
import {type DhcpLab, textOf, until} from './dhcp-lab.ts'
import type {TwoHypervisors} from './two-hypervisors.ts'

const CLI = join(import.meta.dirname, '../../bin/run.js')
const POLL_S = 3

export interface Shim {
  readonly log: string
  readonly process: ChildProcess
}

let count = 0

export interface ShimPlace {
  /** Where it runs; the lab's bridge if undefined. */
  readonly namespace?: string
  /** The port that leads elsewhere; that of the other site's router if undefined. */
  readonly elsewhere?: string
  readonly pollS?: number
}

/** The shim of a site, at the bridge. Its control socket is `<dir>/shim-<site>.sock`. */
export async function startShim(
  lab: DhcpLab,
  site: 'x' | 'y',
  {namespace = lab.hypervisor, elsewhere = site === 'x' ? 'ry' : 'rx', pollS = POLL_S}: ShimPlace = {},
  ...flags: readonly string[]
): Promise<Shim> {
  const name = `shim${++count}`
  const own = ['--poll', `${pollS}`, '--control', join(lab.dir, `shim-${site}.sock`), '-f', lab.inventory]
  const args = ['serve', 'dhcp-shim', site, '-i', elsewhere, ...own, ...flags]
  const child = lab.start({...lab.server, namespace}, name, process.execPath, CLI, ...args)
  const log = join(lab.dir, `${name}.log`)
  await until(
    () => textOf(log).includes('event=ready'),
    () => textOf(log),
  )
  return {log, process: child}
}

export async function stop({process: child}: Shim, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

/** Flags of a shim with a key in a file of its own. */
export function keyed(lab: DhcpLab, site: 'x' | 'y', text = 'a secret that the shims of both sites have'): string[] {
  const file = join(lab.dir, `key-${site}`)
  writeFileSync(file, `${text}\n`, {mode: 0o600})
  return ['--key', file]
}

/** Of x and of y, at their hypervisors; `keys`: their own ones. */
export async function startShims(
  lab: TwoHypervisors,
  pollS: number | Readonly<Record<'x' | 'y', number>>,
  keys: readonly string[] = [],
): Promise<readonly Shim[]> {
  const started = []
  for (const [i, site] of (['x', 'y'] as const).entries()) {
    const place = {namespace: site === 'x' ? lab.hx : lab.hy, elsewhere: 'dci'}
    const poll = typeof pollS === 'number' ? pollS : pollS[site]
    started.push(await startShim(lab, site, {...place, pollS: poll}, ...keyed(lab, site, keys[i])))
  }
  return started
}

/** One word to the control socket of a site's shim. */
export const askShim = (lab: DhcpLab, site: 'x' | 'y', request: ControlRequest): Promise<ControlResponse> =>
  askControl(join(lab.dir, `shim-${site}.sock`), request)

/** One word to a control socket. */
export async function askControl(path: string, request: ControlRequest): Promise<ControlResponse> {
  const peer = await connectJson(path, path)
  try {
    return (await peer.ask(request)) as ControlResponse & ControlAnswers[keyof ControlAnswers]
  } finally {
    peer.close()
  }
}
