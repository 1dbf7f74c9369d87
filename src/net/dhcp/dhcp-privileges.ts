// Giving up root once everything is open. In process: no helper program is needed, and sockets and files stay open.
import {chownSync, readdirSync, statSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {Failure} from '../../errors.ts'
import {koffi} from '../koffi.ts'
import {errorName} from '../libc.ts'
import {tryCommand} from '../process/command.ts'

/** Capabilities by their bit (capability.h). */
const CAP_NET_BIND_SERVICE = 10
const CAP_NET_RAW = 13
const KEPT = (1 << CAP_NET_BIND_SERVICE) | (1 << CAP_NET_RAW)

const PR_SET_KEEPCAPS = 8
const PR_SET_NO_NEW_PRIVS = 38
const CAPABILITY_VERSION_3 = 0x20080522

export interface SystemUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** A user by name or number. @throws Failure `usage` if there is none. */
export async function systemUser(name: string): Promise<SystemUser> {
  const {stdout} = await tryCommand('getent', ['passwd', '--', name])
  const [found, , uid, gid] = stdout.trim().split(':')
  if (!found || !/^\d+$/.test(`${uid}`)) {
    throw new Failure('usage', `there is no user "${name}" (want a system user for --user, or root to stay root)`)
  }
  return {name: found, uid: Number(uid), gid: Number(gid)}
}

/** The user that owns the directory of a file, as text for {@link systemUser}; undefined for root's, and for none yet. */
export function ownerOf(file: string): string | undefined {
  const found = statSync(dirname(file), {throwIfNoEntry: false})
  return found === undefined || found.uid === 0 ? undefined : `${found.uid}`
}

/** Gives a file and what SQLite keeps beside it to a user, and their directory too, if it holds nothing else. */
export function giveTo(user: SystemUser, file: string): void {
  const directory = dirname(file)
  const own = readdirSync(directory)
    .map((name) => join(directory, name))
    .filter((path) => path.startsWith(file))
  for (const path of own) chownSync(path, user.uid, user.gid)
  if (readdirSync(directory).length === own.length) chownSync(directory, user.uid, user.gid)
}

/**
 * Becomes `user`, for good, and keeps CAP_NET_RAW and CAP_NET_BIND_SERVICE alone. The kernel keeps capabilities per
 * thread: setuid(2) takes all of them from the threads that there are, and the main thread, which asked to keep
 * its own (PR_SET_KEEPCAPS), puts down all but the two. For root itself only the main thread puts them down.
 * @throws Failure `privilege` if the kernel refuses.
 */
export function dropPrivileges(user: SystemUser): void {
  if (process.geteuid?.() === 0 && user.uid !== 0) {
    prctl(PR_SET_KEEPCAPS, 1)
    process.setgroups?.([])
    process.setgid?.(user.gid)
    process.setuid?.(user.uid)
  }
  const held = capabilities()
  setCapabilities(held & KEPT)
  prctl(PR_SET_NO_NEW_PRIVS, 1)
}

interface Calls {
  prctl(option: number, a: number, b: number, c: number, d: number): number
  capget(header: Uint8Array, data: Uint8Array): number
  capset(header: Uint8Array, data: Uint8Array): number
}

function calls(): Calls {
  const lib = koffi().load('libc.so.6')
  return {
    prctl: lib.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)'),
    capget: lib.func('int capget(void *header, void *data)'),
    capset: lib.func('int capset(void *header, const void *data)'),
  }
}

function prctl(option: number, value: number): void {
  if (calls().prctl(option, value, 0, 0, 0) !== 0) throw refused(`prctl ${option}`)
}

/** `struct __user_cap_header_struct` for this thread. */
function header(): Buffer {
  const out = Buffer.alloc(128)
  out.writeUInt32LE(CAPABILITY_VERSION_3, 0)
  return out
}

/** The permitted capabilities below bit 32, which hold all that we know. */
function capabilities(): number {
  const data = Buffer.alloc(128)
  if (calls().capget(header(), data) !== 0) throw refused('capget')
  return data.readUInt32LE(4)
}

function setCapabilities(mask: number): void {
  const data = Buffer.alloc(128)
  data.writeUInt32LE(mask >>> 0, 0)
  data.writeUInt32LE(mask >>> 0, 4)
  if (calls().capset(header(), data) !== 0) throw refused('capset')
}

const refused = (call: string): Failure =>
  new Failure('privilege', `cannot give up privileges: ${call} failed with ${errorName()}`)
