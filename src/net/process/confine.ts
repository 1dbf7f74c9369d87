// What a service may do, made less before it becomes another program (execve(2)), which keeps it that way: capabilities
// (capabilities(7)), and the places where it may write (landlock(7)). Only this thread is changed; it is the one that goes on.
import {closeSync, constants, existsSync, openSync, statSync} from 'node:fs'
import {dirname} from 'node:path'
import koffi from 'koffi'
import {Failure} from '../../errors.ts'
import {errorName} from '../libc.ts'

/** Capabilities by their bit (capability.h). */
export const CAP_CHOWN = 0
export const CAP_DAC_OVERRIDE = 1
export const CAP_KILL = 5
export const CAP_NET_BIND_SERVICE = 10
export const CAP_NET_ADMIN = 12
export const CAP_NET_RAW = 13
/** More than any kernel has; those that it has not are refused with EINVAL. */
const CAP_END = 64

/** Those above by their names, for units. */
export const CAPABILITY_NAMES: Readonly<Record<number, string>> = {
  [CAP_CHOWN]: 'CAP_CHOWN',
  [CAP_DAC_OVERRIDE]: 'CAP_DAC_OVERRIDE',
  [CAP_KILL]: 'CAP_KILL',
  [CAP_NET_BIND_SERVICE]: 'CAP_NET_BIND_SERVICE',
  [CAP_NET_ADMIN]: 'CAP_NET_ADMIN',
  [CAP_NET_RAW]: 'CAP_NET_RAW',
}

const PR_CAPBSET_DROP = 24
const PR_SET_NO_NEW_PRIVS = 38

const SYS_landlock_create_ruleset = 444
const SYS_landlock_add_rule = 445
const SYS_landlock_restrict_self = 446
const LANDLOCK_CREATE_RULESET_VERSION = 1
const LANDLOCK_RULE_PATH_BENEATH = 1
const WRITE_FILE = 1n << 1n
/** Writing, removing and making of any kind; then what later kernels know: REFER, TRUNCATE. */
const CHANGES = WRITE_FILE | (0b1_1111_1111n << 4n)
const REFER = 1n << 13n
const TRUNCATE = 1n << 14n

const calls = () => {
  const lib = koffi.load('libc.so.6')
  return {
    prctl: lib.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)'),
    syscall: lib.func('long syscall(long number, ...)'),
  }
}

/**
 * Root keeps these capabilities alone, and nobody after it gets any back. For others, who have what they were given,
 * nothing changes; neither for a root that may not give any up (CAP_SETPCAP): whoever started it has done so.
 * @throws Failure `privilege` if the kernel refuses.
 */
export function keepCapabilities(kept: readonly number[]): void {
  const {prctl} = calls()
  if (process.geteuid?.() !== 0) return
  for (let capability = 0; capability < CAP_END; capability++) {
    if (kept.includes(capability) || prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) === 0) continue
    const error = errorName()
    if (error === 'EINVAL' || error === 'EPERM') break
    throw new Failure('privilege', `cannot give up capability ${capability}: ${error}`)
  }
}

/**
 * From now on files are changed below these folders alone, which must be there. A kernel without Landlock (before 5.13, or
 * started without it) changes nothing: the rest is for the service's unit. Returns whether it is in force.
 */
export function writeOnlyBelow(folders: readonly string[]): boolean {
  const {prctl, syscall} = calls()
  const version = Number(
    syscall(SYS_landlock_create_ruleset, 'void *', null, 'size_t', 0, 'uint32_t', LANDLOCK_CREATE_RULESET_VERSION),
  )
  if (version < 1) return false
  const access = CHANGES | (version >= 2 ? REFER : 0n) | (version >= 3 ? TRUNCATE : 0n)
  const attributes = Buffer.alloc(128)
  attributes.writeBigUInt64LE(access, 0)
  const ruleset = Number(syscall(SYS_landlock_create_ruleset, 'void *', attributes, 'size_t', 8, 'uint32_t', 0))
  if (ruleset < 0) return false
  try {
    for (const folder of folders) allow(syscall, ruleset, folder, access)
    // Programs that it starts throw away what they have to say.
    if (existsSync('/dev/null')) allow(syscall, ruleset, '/dev/null', WRITE_FILE | (access & TRUNCATE))
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw refused('no_new_privs')
    if (Number(syscall(SYS_landlock_restrict_self, 'int', ruleset, 'uint32_t', 0)) !== 0) throw refused('landlock')
    return true
  } finally {
    closeSync(ruleset)
  }
}

/** What a service keeps of root's rights. */
export interface Rights {
  readonly capabilities: readonly number[]
  /** Where it changes files. */
  readonly folders: readonly string[]
}

/** Holds the pid of the process that is confined: those that it starts are not taken for it. */
const CONFINED = 'GWSWITCH_CONFINED'

/**
 * Root's process begins again as itself (execve(2)), with these rights alone, and what it starts has no others either;
 * returns true in that process. What it has open is closed. For others, and where Node cannot do that, nothing changes:
 * false. Folders that are not there are left out. @throws Failure `privilege` if the kernel refuses.
 */
export function confineSelf({capabilities, folders}: Rights): boolean {
  if (process.env[CONFINED] === String(process.pid)) return true
  if (process.geteuid?.() !== 0 || typeof process.execve !== 'function') return false
  writeOnlyBelow(folders.filter((folder) => existsSync(folder)))
  keepCapabilities(capabilities)
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.execve(process.execPath, argv, {...process.env, [CONFINED]: String(process.pid)})
  return false
}

/** Whether a path is root's, with all folders above it: root without CAP_DAC_OVERRIDE gets there. */
export function isRoots(path: string): boolean {
  const above = dirname(path)
  const own = statSync(path, {throwIfNoEntry: false})?.uid ?? 0
  return own === 0 && (above === path || isRoots(above))
}

function allow(syscall: ReturnType<typeof calls>['syscall'], ruleset: number, path: string, access: bigint): void {
  // O_PATH, which Node does not name.
  const fd = openSync(path, 0o10000000 | constants.O_NOFOLLOW)
  try {
    // `struct landlock_path_beneath_attr`, packed.
    const rule = Buffer.alloc(128)
    rule.writeBigUInt64LE(access, 0)
    rule.writeInt32LE(fd, 8)
    const done = syscall(
      ...[SYS_landlock_add_rule, 'int', ruleset, 'int', LANDLOCK_RULE_PATH_BENEATH, 'void *', rule, 'uint32_t', 0],
    )
    if (Number(done) !== 0) throw refused(`landlock, ${path}`)
  } finally {
    closeSync(fd)
  }
}

const refused = (what: string): Failure => new Failure('privilege', `cannot be confined (${what}): ${errorName()}`)
