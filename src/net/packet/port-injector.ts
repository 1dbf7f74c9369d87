// Frames laid into a bridge port as if they had come in there, without the port being touched: a tap of our own whose
// incoming frames tc-mirred(8) redirects to the port's ingress. The kernel removes the tap, and all that hangs on it, when
// its file descriptor closes, so nothing outlives this process, however it ends.
import {closeSync, openSync, writeSync} from 'node:fs'
import {Failure} from '../../errors.ts'
import {errorName, libc, realtimeNs} from '../libc.ts'
import {commandFailure, tryCommand} from '../process/command.ts'

const TUN = '/dev/net/tun'
/** linux/if_tun.h */
const TUNSETIFF = 0x4004_54ca
const IFF_TAP = 0x0002
const IFF_NO_PI = 0x1000
/** The kernel puts in the first number that is free. */
const NAME = 'gwswitch%d'
const NAME_ROOM = 16
const IFREQ = 64

export interface PortInjector {
  /** Our tap, for messages. */
  readonly name: string
  /** Lays a frame into the port. Returns the time just before, on the clock of receive timestamps. */
  inject(frame: Uint8Array): bigint
  close(): void
}

/**
 * @throws Failure `privilege` without CAP_NET_ADMIN, `runtime` where this kernel has no tap or no redirection, or the port
 * is gone; nothing is left then.
 */
export async function openPortInjector(port: {readonly name: string; readonly mtu: number}): Promise<PortInjector> {
  const fd = openTun()
  try {
    const name = makeTap(fd)
    // In this order: before it is up, no frame of it goes anywhere, and its first one is redirected already.
    await configure(
      'ip',
      'link',
      'set',
      'dev',
      name,
      'mtu',
      `${port.mtu}`,
      'multicast',
      'off',
      'arp',
      'off',
      'addrgenmode',
      'none',
    )
    await configure('tc', 'qdisc', 'add', 'dev', name, 'clsact')
    await configure(
      'tc',
      'filter',
      'add',
      'dev',
      name,
      'ingress',
      ...EVERY_FRAME,
      'mirred',
      'ingress',
      'redirect',
      'dev',
      port.name,
    )
    await configure('ip', 'link', 'set', 'dev', name, 'up')
    return {
      name,
      inject(frame) {
        const at = realtimeNs()
        try {
          writeSync(fd, frame)
        } catch (error) {
          const {code} = error as NodeJS.ErrnoException
          throw new Failure('runtime', `laying a frame into ${port.name} failed with ${code}`)
        }
        return at
      },
      close: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** u32 and not matchall: older and smaller kernels lack that one. */
const EVERY_FRAME = ['protocol', 'all', 'u32', 'match', 'u32', '0', '0', 'action']

function openTun(): number {
  try {
    return openSync(TUN, 'r+')
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') throw needsNetAdmin()
    throw new Failure('runtime', `cannot open ${TUN} (${code}): modprobe tun`)
  }
}

/** The name that the kernel gave it. */
function makeTap(fd: number): string {
  const ifreq = Buffer.alloc(IFREQ)
  ifreq.write(NAME, 'latin1')
  ifreq.writeUInt16LE(IFF_TAP | IFF_NO_PI, NAME_ROOM)
  if (libc().ioctl(fd, TUNSETIFF, 'void *', ifreq) < 0) {
    const error = errorName()
    throw error === 'EPERM' ? needsNetAdmin() : new Failure('runtime', `making a tap failed with ${error}`)
  }
  return ifreq.toString('latin1', 0, ifreq.indexOf(0))
}

async function configure(command: 'ip' | 'tc', ...args: readonly string[]): Promise<void> {
  const result = await tryCommand(command, args)
  if (result.code !== 0) throw commandFailure(`${command} ${args.join(' ')}`, result)
}

const needsNetAdmin = (): Failure =>
  new Failure(
    'privilege',
    "standing in a VM's place needs CAP_NET_ADMIN: run as root, or setcap cap_net_raw,cap_net_admin+ep on the node binary",
  )
