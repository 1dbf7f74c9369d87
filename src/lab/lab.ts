// The lab from outside: bring it up, take it down, see how it is.
import {readFileSync, writeFileSync} from 'node:fs'
import {Failure} from '../errors.ts'
import {build, presentNamespaces, remove} from './build.ts'
import {inventoryYaml} from './inventory.ts'
import {checkPrefix, type LabOptions, labOptions, optionsText} from './options.ts'
import {relayPid} from './relay-process.ts'
import {isLocked, labFiles, readRecord, withLock, writeRecord} from './state.ts'
import {labNamespaces, labTopology} from './topology.ts'

export interface LabStage {
  /** Progress for people, one line at a time. */
  readonly log?: (line: string) => void
  /** Aborting leaves nothing behind; `up` then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** How `up` found things: `built` from nothing, `repaired` what a crash had left, or it was `already-up`. */
export type UpResult = 'built' | 'repaired' | 'already-up'

/**
 * Brings the lab up and leaves its VMs at site X. A lab that is up with the same options is left as it is, its VMs too.
 *
 * @throws Failure `usage` if it is up with other options, `privilege` without root's capabilities, `runtime` if the
 *   system lacks something. After any failure, and after an abort, nothing of the lab is left.
 */
export async function up(given: Partial<LabOptions>, {log = () => {}, signal}: LabStage = {}): Promise<UpResult> {
  const options = labOptions(given)
  requireCapabilities()
  requireRootMount()
  return withLock(options.prefix, async () => {
    const found = readRecord(options.prefix)
    if (found !== undefined && found !== 'broken' && found.complete && whole(options.prefix)) {
      if (!sameOptions(found.options, options)) throw upOtherwise(found.options)
      log(`lab ${options.prefix} is up: ${optionsText(options)}`)
      return 'already-up'
    }
    if (found === undefined) refuseForeign(options.prefix)
    else {
      log(`lab ${options.prefix} is incomplete: removing what there is of it`)
      await remove(options.prefix)
    }
    await buildOrRemove(options, signal)
    log(`lab ${options.prefix} is up: ${optionsText(options)}`)
    return found === undefined ? 'built' : 'repaired'
  })
}

async function buildOrRemove(options: LabOptions, signal: AbortSignal | undefined): Promise<void> {
  try {
    signal?.throwIfAborted()
    // First of all, so that after a crash at any point it is known whose the namespaces are.
    writeRecord({options, complete: false})
    await build(labTopology(options), signal)
    writeFileSync(labFiles(options.prefix).inventory, inventoryYaml(options))
    signal?.throwIfAborted()
    writeRecord({options, complete: true})
  } catch (error) {
    await remove(options.prefix)
    throw error
  }
}

/**
 * Removes everything of the lab: processes, namespaces, files. Also what a crash left; also if there is nothing.
 * Returns whether there was something.
 */
export async function down(prefix: string, {log = () => {}}: LabStage = {}): Promise<boolean> {
  checkPrefix(prefix)
  let found = readRecord(prefix) !== undefined
  if (found || isLocked(prefix)) {
    requireCapabilities()
    found = await withLock(prefix, async () => {
      // Not before there is a record: until then, namespaces of these names are somebody else's.
      if (readRecord(prefix) === undefined) return false
      await remove(prefix)
      return true
    })
  }
  log(found ? `lab ${prefix} is gone` : `lab ${prefix} is not up`)
  return found
}

/** Whether the lab is up and whole. */
export function isUp(prefix: string): boolean {
  const record = readRecord(prefix)
  return record !== undefined && record !== 'broken' && record.complete && whole(prefix)
}

/** The options of a lab that is up. @throws Failure `runtime` if it is not. */
export function requireUp(prefix: string): LabOptions {
  checkPrefix(prefix)
  const record = readRecord(prefix)
  if (record === undefined) throw new Failure('runtime', `lab ${prefix} is not up: bring it up first`)
  if (record === 'broken' || !record.complete || !whole(prefix)) {
    throw new Failure('runtime', `lab ${prefix} is incomplete: bring it up again`)
  }
  return record.options
}

const whole = (prefix: string): boolean =>
  presentNamespaces(prefix).length === labNamespaces(prefix).length && relayPid(prefix) !== undefined

function refuseForeign(prefix: string): void {
  const [foreign] = presentNamespaces(prefix)
  if (foreign === undefined) return
  throw new Failure(
    'runtime',
    `lab ${prefix}: network namespace ${foreign} exists and is not this lab's: choose another prefix`,
  )
}

const sameOptions = (a: LabOptions, b: LabOptions): boolean =>
  a.dci === b.dci &&
  a.dciDelayMs === b.dciDelayMs &&
  a.wanDelayMs === b.wanDelayMs &&
  JSON.stringify(a.wires ?? {}) === JSON.stringify(b.wires)

const upOtherwise = (found: LabOptions): Failure =>
  new Failure(
    'usage',
    `lab ${found.prefix} is up with other options (${optionsText(found)}): take it down first, or choose another prefix`,
  )

/**
 * ip(8) enters a mount namespace together with the network's and takes "/" out of what is shared, which only a mount
 * point can be. Field 5 of a line is the mount point (proc_pid_mountinfo(5)).
 */
function requireRootMount(): void {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  if (mounts.some((line) => line.split(' ')[4] === '/')) return
  throw new Failure(
    'runtime',
    'the lab enters network namespaces, which takes a "/" that is a mount point, and in this chroot it is none: ' +
      'bind the folder on itself before chroot(8) (mount --bind DIR DIR)',
  )
}

/** Bits of the capability sets in proc_pid_status(5). */
const CAPABILITIES = {CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21} as const

function requireCapabilities(): void {
  const status = readFileSync('/proc/self/status', 'utf8')
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  const missing = Object.entries(CAPABILITIES).flatMap(([name, bit]) => ((effective >> BigInt(bit)) & 1n ? [] : [name]))
  if (missing.length === 0) return
  throw new Failure(
    'privilege',
    `the lab makes network namespaces, for which ${missing.join(', ')} is missing: run it as root`,
  )
}
