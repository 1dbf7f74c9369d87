// The agent's door to the outside. Tests put their own behind it, or this one with a trap at every call.
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {replaceFile} from '../../net/file/replace-file.ts'
import {makeFolderOf, readText, textIfOurs, textIfReadable} from '../../net/file/text-file.ts'
import {echoRtts} from '../../net/netlink/echo-rtt.ts'
import {makeRouteOwner, type RouteOwner} from '../../net/netlink/route-owner.ts'
import {type EchoOptions, type EchoResult, echoAny} from '../../net/netlink/route-probe.ts'
import {openRouteSocket, type RouteEvents, type RouteSocket, watchRoutes} from '../../net/netlink/route-socket.ts'
import {
  clearDrain,
  type DrainPhase,
  type DrainRules,
  drainProblem,
  hasDrain,
  setDrain,
} from '../../net/nft/drain-nft.ts'
import {watchDrain} from '../../net/nft/drain-watch.ts'

/** Everything outside the process that deciding and switching touch. */
export interface AgentKernel
  extends Omit<RouteSocket, 'close' | 'fdb' | 'interfaces' | 'localAddresses' | 'neighbour' | 'replaceNeighbour'> {
  echoAny(targets: readonly string[], options: EchoOptions): Promise<EchoResult>
  /** The smallest round trip to each target that answers, ms. */
  echoRtts(targets: readonly string[], interfaceName: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>>
  setDrain(rules: DrainRules, phase: DrainPhase): Promise<void>
  clearDrain(): Promise<void>
  hasDrain(): Promise<boolean>
  /** Why open sessions could not be kept on the old gateway; undefined if nothing is known against it. */
  drainProblem(): Promise<string | undefined>
  /** `onGone`: what keeps them there may have been taken away. */
  watchDrain(onGone: () => void): {close(): Promise<void>}
  watchRoutes(events: RouteEvents): {close(): Promise<void>}
  routeOwner: RouteOwner
  /** ms since 1970: the clock that certificates and commands go by, which may be set. */
  now(): number
  /** ms since boot, suspended time included: nobody sets it. */
  uptime(): number
  /** Changes when the VM boots. */
  bootId(): string
  /** DMI product UUID, lower case; undefined if it cannot be read. */
  dmiUuid(): string | undefined
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** The text of a file; undefined if there is none. @throws Failure `privilege` or `runtime` if it cannot be read. */
  read(path: string): string | undefined
  /** The same; undefined for what cannot be read, or what every user might have put there. */
  readOurs(path: string): string | undefined
  /**
   * On the disk when it returns: neither a crash of the process nor of the VM, nor a full disk, leaves half of it.
   * @throws Failure `privilege` or `runtime`; the file is then as it was.
   */
  writeDurably(path: string, text: string): void
  log(line: string): void
}

/** @throws Failure `runtime` without rtnetlink. */
export function systemKernel(log: (line: string) => void): AgentKernel & {close(): void} {
  const routes = openRouteSocket()
  const bootId = readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
  // Root's alone; systemd may hand a copy to an agent that is not root (packaging/bind-dmi.conf).
  const handed = process.env.CREDENTIALS_DIRECTORY
  const uuid = (
    (handed === undefined ? undefined : textIfReadable(join(handed, 'product_uuid'))) ??
    textIfReadable('/sys/class/dmi/id/product_uuid')
  )
    ?.trim()
    .toLowerCase()
  return {
    ...routes,
    echoAny,
    echoRtts,
    setDrain,
    clearDrain,
    hasDrain,
    drainProblem,
    watchDrain,
    watchRoutes,
    routeOwner: makeRouteOwner(),
    now: Date.now,
    uptime: () => Math.round(Number.parseFloat(readText('/proc/uptime')!) * 1000),
    bootId: () => bootId,
    dmiUuid: () => uuid,
    sleep: async (ms, signal) => void (await delay(ms, undefined, {signal})),
    read: readText,
    readOurs: textIfOurs,
    writeDurably,
    log,
  }
}

/**
 * As {@link AgentKernel.writeDurably}. Its owner can read it, whoever wrote it: root may run `--once` beside the service.
 * @internal
 */
export function writeDurably(path: string, text: string): void {
  makeFolderOf(path, 0o700)
  replaceFile(path, text, {mode: 0o600, newOwner: 'directory'})
}
