// The part of `serve site` that says where it is and hears who asks: beacons, and notes of agents, on one segment.
import type {Failure} from '../../errors.ts'
import {anyOf} from '../../net/packet/bpf.ts'
import type {Link} from '../../net/packet/link.ts'
import type {OnMessage, UdpListener, UdpListenOptions} from '../../net/stream/udp-listener.ts'
import type {World} from '../../net/world.ts'
import {type Endpoint, endpointText} from '../../wire/endpoint.ts'
import {beaconFrames, beaconOf} from './beacon.ts'
import {type NoteCounts, type NoteStage, noteReader} from './notes.ts'
import type {ServeSiteRequest} from './request.ts'

export interface NoticesStage extends Pick<NoteStage, 'steadyMs' | 'offer' | 'waitMs' | 'log'> {
  readonly world: World
  listen(endpoint: Endpoint, onMessage: OnMessage, options: UdpListenOptions): UdpListener
  /** The interface went away. */
  onBroken(error: Failure): void
}

export interface Notices {
  readonly request: ServeSiteRequest
  readonly endpoint: Endpoint
  readonly beacons: number
  readonly notes: NoteCounts
  /** Whether another inventory or key is taken. */
  reload(next: ServeSiteRequest): boolean
  /** Says once where it is, if it is to. */
  tell(): void
  /** Nobody is heard any more. Safe twice. */
  deafen(): Promise<void>
  close(): Promise<void>
}

/** @throws Failure `privilege` without CAP_NET_RAW and `runtime` if a socket cannot be opened, before anything is sent. */
export async function openNotices(first: ServeSiteRequest, stage: NoticesStage): Promise<Notices> {
  const {world, log} = stage
  let request = first
  let beacons = 0
  let seq = 0
  const notes = noteReader(request, {...stage, nowMs: () => Number(world.now() / 1_000_000n)})
  // Opened without beacons too: what a switch is verified by needs the same right, and it is missed now, not then.
  const link = request.dryRun ? undefined : await world.openLink(request.interfaceName, {filter: anyOf([])})
  link?.onError(stage.onBroken)
  const listener = await listening(link)
  for (const line of startText(request, listener.endpoint)) log(line)

  async function listening(opened: Link | undefined): Promise<UdpListener> {
    try {
      return stage.listen(request.listen, (bytes, {address}) => notes.receive(bytes, address), {
        hints: notes.hints,
        onError: (error) => log(`udp: ${error.message}`),
      })
    } catch (error) {
      await opened?.close()
      throw error
    }
  }
  return {
    get request() {
      return request
    },
    endpoint: listener.endpoint,
    get beacons() {
      return beacons
    },
    notes: notes.counts,
    reload(next) {
      const other = (['site', 'interfaceName'] as const).find((name) => next[name] !== request[name])
      if (other !== undefined || next.segment.name !== request.segment.name) {
        log(`configuration not taken: another ${other ?? 'segment'} is served when this is restarted`)
        return false
      }
      request = {...next, listen: request.listen, ask: request.ask}
      notes.reload(request)
      listener.expect(notes.hints)
      return true
    },
    tell() {
      if (link === undefined || !request.beacon) return
      const beacon = beaconOf(request, world.now(), seq)
      seq = beacon.seq
      // In turn with a tag and without, which agents before 0.2 want. What a full queue drops is said again soon.
      if (link.sendMany(beaconFrames(request, beacon, link.mac, beacons % 2 === 0)) > 0) beacons++
    },
    deafen: () => listener.close(),
    async close() {
      await listener.close()
      await link?.close()
    },
  }
}

function startText(request: ServeSiteRequest, endpoint: Endpoint): string[] {
  const {site, segment, interfaceName, to, gw6, key, intervalS, ask, beacon, dryRun, inventory} = request
  const gateways = [to.ip, ...(gw6 === undefined ? [] : [gw6])].join(' and ')
  const says = `site ${site} is on ${interfaceName} (${segment.name}), its gateway ${to.name} is ${gateways}, ask at ${ask.join(' or ')}`
  const beacons = dryRun
    ? `dry run: would say every ${intervalS} s, signed by ${key.kid}: ${says}`
    : `beacon every ${intervalS} s, signed by ${key.kid}: ${says}`
  const believed = inventory.vms.some((vm) => vm.segment === segment.name && vm.agent?.key !== undefined)
  return [
    beacon ? beacons : `no beacon: VMs of ${segment.name} ask here only where their askOnMove names this host`,
    `listening for notes on UDP ${endpointText(endpoint)}${dryRun ? '; nothing will be switched' : ''}`,
    ...(believed ? [] : [`no VM of ${segment.name} has an agent.key in ${inventory.file}: no note will be believed`]),
  ]
}
