// Where a file lies that says what was done to this network namespace, and to no other.
//
// That of process 1 is the machine, or the container: its file outlives a boot. Any other ends with whoever made it, and
// its inode number is given to the next one; its cookie (socket(7), SO_NETNS_COOKIE, Linux 5.14) is never used twice
// until the machine boots, and with that /run is empty.
import {readlinkSync, rmSync, statSync} from 'node:fs'
import {libc} from './libc.ts'

const AF_INET = 2
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
const SOL_SOCKET = 1
const SO_NETNS_COOKIE = 71

/** `/var/lib/gwswitch/NAME`, or in another namespace `/run/gwswitch/netns-COOKIE/NAME`. */
export function namespaceFile(name: string): string {
  return `${isOfTheMachine() ? namespaceFolder() : folderOfNamespace()}/${name}`
}

/** The folder that all such files of this namespace lie below, and which stays when they go. */
export const namespaceFolder = (): string => (isOfTheMachine() ? '/var/lib/gwswitch' : '/run/gwswitch')

/** For whoever is about to end this namespace: what was written about it, and is about nothing then. The machine's stays. */
export function removeNamespaceFiles(): void {
  if (!isOfTheMachine()) rmSync(folderOfNamespace(), {recursive: true, force: true})
}

const folderOfNamespace = (): string => `/run/gwswitch/netns-${identity()}`

/** That of the thread: tests put it into another one than the process is in. */
const OURS = '/proc/thread-self/ns/net'

function isOfTheMachine(): boolean {
  try {
    return readlinkSync(OURS) === readlinkSync('/proc/1/ns/net')
  } catch {
    // Not ours to see: as an ordinary user, who could not write there either.
    return false
  }
}

/** Older kernels have no cookie. */
const identity = (): string => namespaceCookie()?.toString() ?? `i${statSync(OURS).ino}`

function namespaceCookie(): bigint | undefined {
  const fd = libc().socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0)
  if (fd < 0) return undefined
  const value = new BigUint64Array(1)
  const length = new Uint32Array([value.byteLength])
  const failed = libc().getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, length)
  libc().close(fd)
  return failed === 0 ? value[0] : undefined
}
