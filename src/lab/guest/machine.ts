// A guest that QEMU runs without hardware help, at a tap, and its live migration from one QEMU to the next.
import type {ChildProcess} from 'node:child_process'
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {spawnIn} from '../../net/process/netns.ts'
import {labEnvironment} from '../processes.ts'
import {until} from '../until.ts'
import type {GuestImage} from './image.ts'
import {openQmp, type Qmp} from './qmp.ts'

export interface GuestOptions {
  /** Namespace that QEMU runs in, and the tap there. */
  readonly namespace: string
  /** The lab that it is ended with; without it, that of the namespace's name up to its first "-". */
  readonly lab?: string
  readonly tap: string
  readonly mac: string
  readonly mtu: number
  /** With its prefix length. */
  readonly address: string
  readonly gateway: string
  /** For its kernel. */
  readonly kernelWords?: string
  /** Folder of its sockets and its console. */
  readonly scratch: string
  readonly name: string
}

export interface RunningGuest {
  /** The host's end of the guest agent's channel. */
  readonly agentSocket: string
  /** QEMU's monitor, which this module speaks to, and a second one for whoever else has to know. */
  readonly monitorSocket: string
  readonly secondMonitorSocket: string
  readonly console: () => string
  /** One QMP command; resolves to its answer. */
  qmp(execute: string, parameters?: object): Promise<Record<string, unknown>>
  stop(): Promise<void>
}

/** Ten times what it takes on two quiet cores. */
const BOOT_MS = 180_000

/** Boots it; resolves when its init is through. Throws with the end of its console if it does not get there. */
export async function startGuest(image: GuestImage, options: GuestOptions): Promise<RunningGuest> {
  const guest = launch(image, options, [])
  try {
    await until(async () => guest.console().includes('guest ready'), BOOT_MS, 'the guest boots')
  } catch (error) {
    await guest.stop()
    throw new Error(`${(error as Error).message}: ${guest.complaints()} ${guest.console().slice(-500)}`)
  }
  return guest
}

export interface MigratedGuest extends RunningGuest {
  /** When it stopped at its source, and when it ran at its destination, ms since 1970. */
  readonly stoppedMs: number
  readonly arrivedMs: number
}

/** What is done while it migrates. */
export interface MigrationSteps {
  /** Once the destination waits for it. */
  readonly whenAwaited?: (destination: RunningGuest) => Promise<void>
  /** The moment it runs there. */
  readonly whenResumed?: (destination: RunningGuest, arrivedMs: number) => void
}

/**
 * Live-migrates a running guest into a QEMU of its own with other options; resolves to that one as soon as the guest runs
 * there, with the old one stopped for good.
 */
export async function migrateGuest(
  from: RunningGuest,
  image: GuestImage,
  options: GuestOptions,
  {whenAwaited, whenResumed}: MigrationSteps = {},
): Promise<MigratedGuest> {
  const to = launch(image, options, ['-incoming', 'defer'])
  try {
    const uri = `unix:${join(options.scratch, `${options.name}.migration`)}`
    await using destination = await firstMonitor(to.monitorSocket)
    // The destination's own word: only then does the guest run there.
    const arrived = destination.event('RESUME', 120_000)
    await destination.ask('migrate-incoming', {uri})
    await whenAwaited?.(to)
    await using source = await openQmp(from.monitorSocket)
    const stopped = source.event('STOP', 120_000)
    await source.ask('migrate', {uri})
    const arrivedMs = await arrived
    whenResumed?.(to, arrivedMs)
    const stoppedMs = await stopped
    await from.stop()
    return {...to, stoppedMs, arrivedMs}
  } catch (error) {
    await to.stop()
    throw new Error(`${(error as Error).message}: ${to.complaints()}`)
  }
}

/** Its socket is there a moment before anybody listens at it. */
async function firstMonitor(path: string): Promise<Qmp> {
  let monitor: Qmp | undefined
  const isOpen = async (): Promise<boolean> => {
    monitor = await openQmp(path).catch(() => undefined)
    return monitor !== undefined
  }
  await until(isOpen, 60_000, 'the destination is there', 10)
  return monitor!
}

/** A guest keeps a clock of its own, and its neighbours here mostly wait: it is served first, where that is allowed. */
const SERVED_FIRST = ['nice', '-n', '-10']

/** QEMU's way to reach its parts, and to look at them. */
function launch(
  {kernel, initrd, disks = [], memoryKb = 131_080}: GuestImage,
  options: GuestOptions,
  more: readonly string[],
) {
  const file = (suffix: string): string => join(options.scratch, `${options.name}.${suffix}`)
  const words = [
    'console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests mitigations=off edd=off net.ifnames=0',
    `gw.address=${options.address} gw.gateway=${options.gateway}`,
    options.kernelWords ?? '',
  ]
  const argv = [
    ...SERVED_FIRST,
    ...['qemu-system-x86_64', '-nodefaults', '-no-user-config', '-nographic', '-no-reboot', '-accel', 'tcg'],
    ...['-machine', 'pc-i440fx-7.2', '-m', `${memoryKb}k`, '-kernel', kernel, '-initrd', initrd],
    ...['-append', words.join(' ')],
    ...['-serial', `file:${file('console')}`],
    ...['qmp', 'qmp2'].flatMap((name) => ['-qmp', `unix:${file(name)},server=on,wait=off`]),
    ...['-netdev', `tap,id=n0,ifname=${options.tap},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=n0,mac=${options.mac},romfile=,host_mtu=${options.mtu}`],
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=ga0,path=${file('qga')},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=ga0,name=org.qemu.guest_agent.0'],
    // Read only, so that both ends of a migration may open them.
    ...disks.flatMap((disk, i) => [
      ...['-drive', `file=${disk},format=raw,if=none,id=d${i},readonly=on`],
      ...['-device', `virtio-blk-pci,drive=d${i}`],
    ]),
    ...more,
  ]
  // Marked as the lab's own: it is ended with the lab, also when this process is killed.
  const env = {...process.env, ...labEnvironment(options.lab ?? options.namespace.split('-')[0]!)}
  const child = spawnIn(options.namespace, argv, {stdio: ['ignore', 'ignore', 'pipe'], env})
  const stderr: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return {
    agentSocket: file('qga'),
    monitorSocket: file('qmp'),
    secondMonitorSocket: file('qmp2'),
    console: () => (existsSync(file('console')) ? readFileSync(file('console'), 'latin1') : ''),
    complaints: () => Buffer.concat(stderr).toString(),
    qmp: (execute: string, parameters?: object) => askQmp(file('qmp'), execute, parameters),
    stop: () => ended(child),
  }
}

/** One QMP command over a connection of its own. */
async function askQmp(path: string, execute: string, parameters?: object): Promise<Record<string, unknown>> {
  await using monitor = await openQmp(path)
  // Awaited here: the connection is closed on the way out.
  return await monitor.ask(execute, parameters)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const {promise, resolve} = Promise.withResolvers<void>()
  child.once('exit', () => resolve())
  child.kill('SIGKILL')
  await promise
}
