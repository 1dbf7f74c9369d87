// Telling the service manager how we are (sd_notify(3)): a datagram to the unix socket that it names in the environment.
// Node has no unix datagrams: by the system calls.
import {errorName, libc} from '../libc.ts'
import {SOCK_CLOEXEC, SOCK_NONBLOCK} from '../packet/socket-constants.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2
/** Bytes of `sun_path` (unix(7)). */
const PATH_ROOM = 108

export interface ServiceManager extends Disposable {
  /** What is waited for has begun (`READY=1`). */
  ready(status: string): void
  /** One line, for `systemctl status`. */
  status(status: string): void
  /** What is under way is brought to its end (`STOPPING=1`); we still live. */
  stopping(): void
}

const NOBODY: ServiceManager = {ready: () => {}, status: () => {}, stopping: () => {}, [Symbol.dispose]: () => {}}

/**
 * The one that started us, by `NOTIFY_SOCKET`; one that takes nothing where there is none. Takes the variables out of the
 * environment, as they are not for programs that we start. Where it wants to see that we live (`WATCHDOG_USEC`), it is told
 * twice in that time, as long as the event loop turns. Once it is disposed of, it is told nothing more.
 * `onError` is told, once, when nothing can be said to it.
 */
export function serviceManager(env: NodeJS.ProcessEnv, onError: (why: string) => void): ServiceManager {
  const {NOTIFY_SOCKET: path, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched} = env
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  if (path === undefined || path === '') return NOBODY
  let failed = false
  const say = (text: string): void => {
    const error = send(path, text)
    if (error !== undefined && !failed) onError(`the service manager at ${path} is not told: ${error}`)
    failed = error !== undefined
  }
  const everyMs = watched === undefined || watched === String(process.pid) ? Number(watchdog ?? 0) / 2000 : 0
  const alive = everyMs >= 1 ? setInterval(say, everyMs, 'WATCHDOG=1').unref() : undefined
  return {
    ready: (status) => say(`READY=1\n${statusLine(status)}`),
    status: (status) => say(statusLine(status)),
    stopping: () => say('STOPPING=1'),
    [Symbol.dispose]: () => clearInterval(alive),
  }
}

/** A line end would begin another assignment. */
const statusLine = (status: string): string => `STATUS=${status.replaceAll('\n', ' ')}`

/** Undefined if it was taken; else the name of the errno. */
function send(path: string, text: string): string | undefined {
  // An abstract address begins with a zero byte, which the environment cannot say.
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path)
  if (name.length > PATH_ROOM || (!path.startsWith('/') && !path.startsWith('@'))) return 'no such kind of socket'
  const fd = libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) return errorName()
  try {
    const address = Buffer.alloc(2 + PATH_ROOM)
    // `struct sockaddr_un`, in the order of this host, as all that Node runs on here.
    address.writeUInt16LE(AF_UNIX, 0)
    name.copy(address, 2)
    const bytes = Buffer.from(text)
    return libc().sendto(fd, bytes, bytes.length, 0, address, 2 + name.length) < 0 ? errorName() : undefined
  } finally {
    libc().close(fd)
  }
}
