// Takes a VM's cable out for a moment. A process of its own does it, which neither our end nor that of a terminal reaches: a VM
// whose cable stays out is cut off. If that process ends before it is through, we put the cable in.
import {spawn} from 'node:child_process'
import {createInterface} from 'node:readline'
import {Failure, type FailureKind} from '../../errors.ts'
import {programCommand} from '../process/program.ts'
import {linkText, raiseLink, type VmLink} from './vm-link.ts'

/** What flap-main is told. */
export interface FlapOrder {
  readonly link: VmLink
  readonly downMs: number
  /** How long it tries to put the cable in. */
  readonly raiseMs: number
}

/** What it says, a line each. `upMs`: since 1970, before the cable was put in. */
export type FlapWord =
  | {readonly did: 'down'}
  | {readonly did: 'up'; readonly upMs: number}
  | {readonly did: 'nothing' | 'stuck'; readonly kind: FailureKind; readonly message: string}

const RAISE_MS = 30_000

/**
 * Resolves to when the cable was put in again, ms since 1970. Nothing stops it half way: it takes `downMs`, and what the
 * hypervisor takes to answer.
 * @throws Failure as setLink does where nothing was done, `runtime` if the cable may still be out.
 */
export async function flapLink(link: VmLink, downMs: number): Promise<number> {
  const order: FlapOrder = {link, downMs, raiseMs: RAISE_MS}
  const [program, ...args] = programCommand('net/vm-link/flap-main', [JSON.stringify(order)])
  const child = spawn(program, args, {
    ...{detached: true, stdio: ['ignore', 'pipe', 'inherit']},
    env: {...process.env, NODE_NO_WARNINGS: '1'},
  })
  child.on('error', () => {})
  let last: FlapWord | undefined
  for await (const line of createInterface({input: child.stdout!})) last = JSON.parse(line) as FlapWord
  if (last?.did === 'up') return last.upMs
  if (last?.did === 'nothing') throw new Failure(last.kind, last.message)
  try {
    // It was killed.
    if (last?.did !== 'stuck') await raiseLink(link, RAISE_MS)
  } catch (error) {
    throw new Failure('runtime', stuck(link, (error as Error).message))
  }
  if (last?.did === 'stuck') throw new Failure('runtime', stuck(link, last.message))
  throw new Failure(
    'runtime',
    `${linkText(link)}: what took the link of ${link.mac} down was ended: the link is up again`,
  )
}

/** Where a link may be down still, and the remedy. */
export const stuck = (link: VmLink, why: string): string =>
  `the link of ${link.mac} may still be down, put it up by hand (${linkText(link)}): ${why}`
