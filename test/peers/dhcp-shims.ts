// The shim as it is installed (npm run build), at the bridge of a lab.
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {type DhcpLab, textOf, until} from './dhcp-lab.ts'

const CLI = join(import.meta.dirname, '../../bin/run.js')
const POLL_S = 3

export interface Shim {
  readonly log: string
  readonly process: ChildProcess
}

let count = 0

/** The shim of a site, at the bridge; what leads to the other site's router is left alone. */
export async function startShim(lab: DhcpLab, site: 'x' | 'y', ...flags: readonly string[]): Promise<Shim> {
  const name = `shim${++count}`
  const elsewhere = site === 'x' ? 'ry' : 'rx'
  const args = ['serve', 'dhcp-shim', site, '-i', elsewhere, '--poll', `${POLL_S}`, '-f', lab.inventory, ...flags]
  const child = lab.start({...lab.server, namespace: lab.hypervisor}, name, process.execPath, CLI, ...args)
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
