// A VM that watches for its site, to which a test tells what happens.
import {
  dueMs,
  type MeasureTarget,
  NOTHING_HEARD,
  type NoteOrder,
  type SiteWatch,
  step,
  type WatchEvent,
} from '../../../src/domain/agent/site-watch.ts'

const GATEWAYS: Readonly<Record<string, string>> = {x: '10.0.0.1', y: '10.0.0.2', z: '10.0.0.3'}
export const ASK = {address: '10.0.0.2', port: 6743}
export const ALWAYS = {address: '192.0.2.50', port: 6743}

interface World {
  gateway: string
  beacons: boolean
  keys: number
  askOnMove: readonly (typeof ASK)[]
  /** Round trips by address, ms. */
  rtts: Record<string, number>
  /** What answers ARP, if no echo. */
  resolved: readonly string[]
}

/** A VM to which things happen; time goes on by `wait`, ticks come when they are due. */
export function vm(over: Partial<World> = {}) {
  const world: World = {
    ...{gateway: '10.0.0.1', beacons: true, keys: 2, askOnMove: [], rtts: {'10.0.0.1': 0.2, '10.0.0.2': 10}},
    ...{resolved: []},
    ...over,
  }
  const notes: (NoteOrder & {atS: number})[] = []
  const measured: string[] = []
  const logs: string[] = []
  let nowMs = 1_000_000
  let watch: SiteWatch = NOTHING_HEARD
  function happen(event: WatchEvent): void {
    const done = step(watch, event, {...world, nowMs, gateways: () => ({gw4: world.gateway})})
    watch = done.watch
    for (const action of done.actions) {
      if (action.kind === 'note') notes.push({...action, atS: (nowMs - 1_000_000) / 1000})
      else if (action.kind === 'log') logs.push(action.text)
      else answer(action.round, action.targets)
    }
  }
  function answer(round: number, targets: readonly MeasureTarget[]): void {
    measured.push(targets.map(({address}) => address).join(' '))
    const rtts = targets.flatMap(({address}) => {
      const ms = world.rtts[address]
      return ms === undefined ? [] : [[address, ms] as const]
    })
    happen({kind: 'rtts', round, rtts: new Map(rtts), resolved: new Set(world.resolved)})
  }
  const self = {
    world,
    notes,
    measured,
    logs,
    get watch() {
      return watch
    },
    happen,
    hear(...sites: string[]) {
      for (const site of sites) {
        const heard = {
          site,
          segment: 'tenant-a',
          gateways: [GATEWAYS[site]!],
          ask: [{...ASK, address: GATEWAYS[site]!}],
        }
        happen({kind: 'beacon', kid: `site-${site}`, heard: {...heard, atMs: nowMs, untilMs: nowMs + 5000}})
      }
      return self
    },
    moved() {
      happen({kind: 'notify_peers'})
      return self
    },
    /** Time goes on; these sites are heard every second. */
    wait(seconds: number, ...sites: string[]) {
      for (let i = 0; i < seconds * 10; i++) {
        nowMs += 100
        if ((dueMs(watch) ?? Number.POSITIVE_INFINITY) <= nowMs) happen({kind: 'tick'})
        if ((nowMs / 100) % 10 === 0) self.hear(...sites)
      }
      return self
    },
  }
  return self
}
export const atY = {'10.0.0.1': 10, '10.0.0.2': 0.2}
