// Where each VM is by what was seen of it: one state a VM, and its clock.

import {tokenBucket} from '../../domain/agent/token-bucket.ts'
import type {Inventory, Vm} from '../../domain/inventory/site.ts'
import {
  type ArrivalEvent,
  type ArrivalLimits,
  arrivalStep,
  type Dispute,
  dueMs,
  type Sign,
  unseen,
  type Whereabouts,
} from '../../domain/movement/arrivals.ts'
import type {Movement} from '../../domain/movement/movement.ts'
import type {World} from '../../net/world.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {ArrivalPorts, WatchedPort} from './arrival-ports.ts'

/** Whom to expect. */
export interface KnownVms {
  /** The site of this host's ports. */
  readonly site: string | undefined
  /** None: whoever announces itself is told of, by its MAC. */
  readonly inventory: Inventory | undefined
  /** The site where a VM was last known to be; undefined, and by default: what the inventory says. */
  readonly siteOf?: (mac: Mac) => string | undefined
  /** Tell of MACs that the inventory does not know, too. Default: only where there is no inventory. */
  readonly strangers?: boolean
  readonly limits?: ArrivalLimits
}

/** What was heard of a MAC. */
export interface Heard {
  readonly mac: Mac
  readonly sign: Sign
  /** The address that it announces. */
  readonly ip: Ipv4 | undefined
  /** Of the interface. */
  readonly index: number
  /** The tag of the frame, or the VLAN in which a bridge has learned it; undefined: none. */
  readonly vlan: number | undefined
  /** CLOCK_MONOTONIC. */
  readonly atMs: number
}

export interface WhereaboutsStage {
  readonly world: World
  readonly signal: AbortSignal
  onMovement(movement: Movement): void
  onDispute(dispute: Dispute): void
  log(line: string): void
}

/** MACs of nobody's that are remembered. */
const STRANGERS = 1024
/** New ones that are told of; and between two words that there are more, ms. */
const NEW_STRANGERS = {perSecond: 10, atOnce: 200}
const MORE_EVERY_MS = 60_000

interface Entry {
  /** Undefined: nobody's. */
  readonly vm: Vm | undefined
  state: Whereabouts
  /** A tick is on its way. */
  ticking: boolean
}

export function whereabouts(first: KnownVms, stage: WhereaboutsStage) {
  const {world, signal} = stage
  let request = first
  let vms = byMac(request)
  const entries = new Map<string, Entry>()
  const strangers = new Map<Mac, Entry>()
  const nowMs = (): number => Number(world.monotonic()) / 1e6
  /** From the clock of the events to that of the day. */
  const wallMs = (atMs: number): number => Number(world.now()) / 1e6 - (nowMs() - atMs)

  const apply = (entry: Entry, event: ArrivalEvent): void => {
    const {state, movements, dispute} = arrivalStep(entry.state, event, request.limits)
    entry.state = state
    for (const each of movements) stage.onMovement({...each, atMs: each.atMs && wallMs(each.atMs)})
    if (dispute) stage.onDispute({...dispute, atMs: wallMs(dispute.atMs)})
    if (!entry.ticking && dueMs(state) !== undefined) void tick(entry)
  }
  const tick = async (entry: Entry): Promise<void> => {
    entry.ticking = true
    for (let due = dueMs(entry.state); due !== undefined; due = dueMs(entry.state)) {
      await world.sleep(Math.ceil(due - nowMs()), signal).catch(() => {})
      if (signal.aborted) return
      apply(entry, {kind: 'tick', atMs: nowMs()})
    }
    entry.ticking = false
  }
  const lastSite = (mac: Mac, vm: Vm): string | undefined => request.siteOf?.(mac) ?? vm.site
  const isOfSite = (mac: Mac, vm: Vm): boolean => request.site !== undefined && lastSite(mac, vm) === request.site

  const entryOf = (vm: Vm): Entry => {
    const found = entries.get(vm.name)
    if (found) return found
    const last = lastSite(vm.mac, vm)
    const isKnown = last !== undefined && request.site !== undefined
    const state = unseen({mac: vm.mac, vm: vm.name}, isKnown ? (last === request.site ? 'here' : 'away') : undefined)
    const entry: Entry = {vm, state, ticking: false}
    entries.set(vm.name, entry)
    return entry
  }
  const admission = tokenBucket(NEW_STRANGERS.perSecond, NEW_STRANGERS.atOnce)
  let saidMs = Number.NEGATIVE_INFINITY
  /** Anybody can make up MACs, as many as a port carries. */
  const isAdmitted = (): boolean => {
    const atMs = nowMs()
    if (admission.take(atMs)) return true
    if (atMs - saidMs > MORE_EVERY_MS) {
      saidMs = atMs
      stage.log('more MACs that nobody knows announce themselves than are told of')
    }
    return false
  }
  /** The one that was heard longest ago is forgotten. */
  const strangerOf = (mac: Mac): Entry => {
    const entry = strangers.get(mac) ?? {vm: undefined, state: unseen({mac, vm: null}, undefined), ticking: false}
    strangers.delete(mac)
    strangers.set(mac, entry)
    if (strangers.size > STRANGERS) strangers.delete(strangers.keys().next().value!)
    return entry
  }

  return {
    /** Whether what a bridge learns of it counts. */
    isOfInterest: (mac: Mac): boolean => vms.has(mac) || strangers.has(mac),
    heard({mac, sign: said, ip, index, vlan, atMs}: Heard, ports: ArrivalPorts): void {
      const seen = {kind: 'seen', port: ports.nameOf(index), atMs} as const
      for (const vm of vms.get(mac) ?? []) {
        const side = isIn(vm, vlan, request) ? ports.sideOf(index, vm.segment, isOfSite(mac, vm)) : undefined
        // What it announces is its own address; another one may be that of whoever is in it.
        const sign = said === 'arp' && ip !== vm.ip ? 'frame' : said
        if (side !== undefined) apply(entryOf(vm), {...seen, side, sign})
      }
      if (vms.has(mac) || !minds(request)) return
      const side = ports.sideOf(index, undefined, false)
      const isNew = side === 'local' && (said === 'rarp' || said === 'arp') && !isGateway(mac, request)
      if (side !== undefined && (strangers.has(mac) || (isNew && isAdmitted())))
        apply(strangerOf(mac), {...seen, side, sign: said})
    },
    portsChanged(before: readonly WatchedPort[], now: readonly WatchedPort[]): void {
      const atMs = nowMs()
      const tell = (name: string, state: 'gone' | 'no-carrier' | 'up'): void => {
        for (const entry of [...entries.values(), ...strangers.values()]) {
          const {port, pending} = entry.state
          if (port === name || pending?.port === name) apply(entry, {kind: 'port', port: name, state, atMs})
        }
      }
      for (const {name, index, carrier} of before) {
        const after = now.find((each) => each.index === index)
        if (after === undefined) tell(name, 'gone')
        else if (after.carrier !== carrier) tell(name, after.carrier ? 'up' : 'no-carrier')
      }
    },
    expect(next: KnownVms): void {
      request = next
      vms = byMac(request)
      for (const [name, {vm}] of entries) {
        const same = request.inventory?.vms.find((each) => each.name === name)
        if (same === undefined || same.mac !== vm?.mac || same.segment !== vm.segment) entries.delete(name)
      }
      for (const mac of strangers.keys()) if (vms.has(mac)) strangers.delete(mac)
    },
  }
}

/** Whether strangers are told of. */
export const minds = ({strangers, inventory}: KnownVms): boolean => strangers ?? inventory === undefined

const byMac = ({inventory}: KnownVms): ReadonlyMap<Mac, readonly Vm[]> =>
  Map.groupBy(inventory?.vms ?? [], ({mac}) => mac)

const isGateway = (mac: Mac, {inventory}: KnownVms): boolean =>
  inventory?.segments.some(({gateways}) => gateways.some((gateway) => gateway.mac === mac)) === true

/** Whether a tag may be that of the VM's segment: at a port of one VLAN there is none. */
function isIn({segment}: Vm, vlan: number | undefined, {inventory}: KnownVms): boolean {
  const want = inventory?.segments.find(({name}) => name === segment)?.vlan
  return want === undefined || vlan === undefined || want === vlan
}
