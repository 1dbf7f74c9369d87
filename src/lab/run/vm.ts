// The VM of `lab run`: a guest that QEMU live-migrates, or a namespace whose link is moved.
import {mkdirSync} from 'node:fs'
import {Failure} from '../../errors.ts'
import {runCommand} from '../../net/process/command.ts'
import {namespaceCommand} from '../../net/process/netns.ts'
import {openGuestAgent} from '../../net/stream/qga.ts'
import type {GuestImage} from '../guest/image.ts'
import {migrateGuest, type RunningGuest, startGuest} from '../guest/machine.ts'
import {labEnvironment} from '../processes.ts'
import {type LabSite, type LabVm, namespaceOf, SITES, segmentOf} from '../topology.ts'
import {moveVm} from '../vms.ts'
import {type CounterProcess, startCounter} from './counter-process.ts'

export interface MoveSteps {
  /** Its destination waits for it; it leaves when this resolves. */
  awaited(): Promise<void>
  /** It runs there, since then, ms since 1970. */
  resumed(atMs: number): void
}

export interface RunVm {
  where(): LabSite
  /** Node of the lab that has its port at a site, and the port there. */
  readonly host: (site: LabSite) => string
  readonly port: string
  /** From the source's STOP to RESUME, ms; null where nothing stops. */
  move(to: LabSite, steps: MoveSteps): Promise<number | null>
  /** Runs a shell line in it as root; its standard output. */
  sh(line: string): Promise<string>
  /** The QEMU that it runs in, or will. */
  qemu(): RunningGuest | undefined
  end(): Promise<void>
}

/** Whom it counts on to: `IP:PORT`. */
export type Listeners = readonly string[]

const TAP = 'tap-run'
const GUEST_MTU = 1400
const LINE_MS = 120_000
/** Its guest agent may be late where the machine is busy. */
const TRIES = 4
/** Busybox's shell would take its own. */
const OWN_IP = 'ip() { /sbin/ip "$@"; }'

/** Boots a guest in the place of a VM of the lab, at site x; `words`: for its kernel's command line. @throws Failure `runtime` if it does not boot. */
export async function qemuVm(
  prefix: string,
  vm: LabVm,
  image: GuestImage,
  scratch: string,
  listeners: Listeners,
  words = '',
): Promise<RunVm> {
  await ip(prefix, vm.name, 'link', 'set', 'eth0', 'down')
  const {letter, gateways} = segmentOf(vm)
  for (const site of SITES) {
    await ip(prefix, `sw-${site}`, 'tuntap', 'add', TAP, 'mode', 'tap')
    await ip(prefix, `sw-${site}`, 'link', 'set', TAP, 'up', 'master', `br-${letter}`)
  }
  mkdirSync(scratch, {recursive: true})
  let moves = 0
  const options = (site: LabSite) => ({
    ...{namespace: namespaceOf(prefix, `sw-${site}`), lab: prefix, tap: TAP, mac: vm.mac, mtu: GUEST_MTU},
    ...{address: `${vm.ip}/24`, gateway: gateways.find((gateway) => gateway.site === 'x')!.ip},
    ...{kernelWords: `gw.count=${listeners.join(',')} ${words}`, scratch, name: `${vm.name}-${moves}`},
  })
  let [guest, where, coming]: [RunningGuest, LabSite, RunningGuest | undefined] = [
    await startGuest(image, options('x')).catch((error: Error) => {
      throw new Failure('runtime', `lab run: the guest does not boot: ${error.message.split('\n')[0]}`)
    }),
    'x',
    undefined,
  ]
  return {
    where: () => where,
    host: (site) => `sw-${site}`,
    port: TAP,
    qemu: () => coming ?? guest,
    async move(to, {awaited, resumed}) {
      moves++
      try {
        const moved = await migrateGuest(guest, image, options(to), {
          whenAwaited: (destination) => {
            coming = destination
            return awaited()
          },
          whenResumed: (_, atMs) => resumed(atMs),
        })
        ;[guest, where] = [moved, to]
        return moved.arrivedMs - moved.stoppedMs
      } finally {
        coming = undefined
      }
    },
    sh: (line) => inGuest(() => guest.agentSocket, line),
    async end() {
      await guest.stop()
      for (const site of SITES) await ip(prefix, `sw-${site}`, 'link', 'del', TAP)
    },
  }
}

async function inGuest(socket: () => string, line: string): Promise<string> {
  for (let left = TRIES; ; left--) {
    try {
      const agent = await openGuestAgent(socket(), AbortSignal.timeout(LINE_MS))
      try {
        return (await agent.run(['sh', '-c', `${OWN_IP}; ${line}`], {timeoutMs: LINE_MS})).stdout
      } finally {
        agent.close()
      }
    } catch (error) {
      if (left <= 1 || !(error instanceof Failure && error.kind === 'silent')) throw error
    }
  }
}

/** The VM that the lab has, at site x. */
export async function namespaceVm(prefix: string, vm: LabVm, listeners: Listeners): Promise<RunVm> {
  await ip(prefix, vm.name, 'link', 'set', 'eth0', 'up')
  const counters: CounterProcess[] = await Promise.all(listeners.map((to) => startCounter(prefix, vm.name, to)))
  let where: LabSite = 'x'
  return {
    where: () => where,
    host: () => 'hv',
    port: vm.name,
    qemu: () => undefined,
    async move(to, {awaited, resumed}) {
      await awaited()
      const {arrivedNs} = await moveVm(prefix, vm.name, to)
      where = to
      resumed(Number(arrivedNs) / 1e6)
      return null
    },
    async sh(line) {
      const [program = '', ...args] = namespaceCommand(namespaceOf(prefix, vm.name), ['sh', '-c', line])
      return runCommand(program, args, {env: labEnvironment(prefix)})
    },
    async end() {
      await Promise.all(counters.map((counter) => counter.end()))
    },
  }
}

const ip = (prefix: string, node: string, ...args: readonly string[]): Promise<string> =>
  runCommand('ip', ['-n', namespaceOf(prefix, node), ...args])
