// What must hold between the parts of an inventory, beyond each of them being well-formed.
import {
  type Ipv4,
  ipv4Text,
  ipv4Value,
  isIpv4,
  type Mac,
  type Prefix,
  prefixContains,
  prefixText,
} from '../../wire/address.ts'
import {hint} from '../suggest.ts'
import type {Path, Problem} from '../yaml-file.ts'
import {findSegment, findSite, type Inventory, machineOf, type Segment, type Vm} from './site.ts'

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/

/** Everything that contradicts something else. */
export function checkInventory(inventory: Inventory): readonly Problem[] {
  return [
    ...checkNames(inventory),
    ...checkSites(inventory),
    ...checkGateways(inventory),
    ...checkVms(inventory),
    ...checkOwners(inventory),
  ]
}

function* checkNames(inventory: Inventory): Iterable<Problem> {
  for (const kind of ['sites', 'segments'] as const) {
    for (const {name} of inventory[kind]) yield* checkName(name, [kind, name], true)
  }
  for (const name of new Set(inventory.vms.map(machineOf))) yield* checkName(name, ['vms', name], true)
  yield* checkNics(inventory)
  const owner = new Map<string, string>()
  for (const {gateway, path} of placedGateways(inventory)) {
    yield* checkName(gateway.name, [...path, 'name'], false)
    const other = owner.get(gateway.name)
    if (other !== undefined) {
      const message = `"${gateway.name}" is already a gateway of segment ${other} (want a name of its own)`
      yield {path: [...path, 'name'], message}
    }
    owner.set(gateway.name, gateway.segment)
  }
}

/** What it is called by on the command line: its VM's name, then its own or that of its segment. */
function* checkNics(inventory: Inventory): Iterable<Problem> {
  const known = new Set<string>()
  for (const vm of inventory.vms) {
    if (!vm.nicOf) continue
    const own = vm.name.slice(vm.nicOf.vm.length + 1)
    if (own !== vm.segment) yield* checkName(own, [...vmPath(vm), 'name'], false)
    if (known.has(vm.name))
      yield {path: vmPath(vm), message: `another NIC is ${vm.name} already (want a name of its own: name: storage)`}
    known.add(vm.name)
  }
}

/** Where a NIC stands in its file. */
export const vmPath = ({name, nicOf}: Vm): Path =>
  nicOf === undefined || nicOf.at === 0 ? ['vms', nicOf?.vm ?? name] : ['vms', nicOf.vm, 'nics', nicOf.at - 1]

function* checkName(name: string, path: Path, atKey: boolean): Iterable<Problem> {
  // A name that reads as an address could not be told from one on the command line.
  if (NAME.test(name) && !isIpv4(name)) return
  yield {path, atKey, message: `"${name}" is not a name (want letters, digits, "-", "_", "."; no address)`}
}

function* checkSites(inventory: Inventory): Iterable<Problem> {
  const owner = new Map<string, string>()
  for (const site of inventory.sites) {
    const path = ['sites', site.name]
    if (site.dciRttMs !== undefined && !(site.dciRttMs > 0 && Number.isFinite(site.dciRttMs))) {
      yield {
        path: [...path, 'dciRttMs'],
        message: `${site.dciRttMs} is not a round trip time (want milliseconds above 0)`,
      }
    }
    for (const [i, prefix] of site.prefixes.entries()) {
      const text = prefixText(prefix)
      const other = owner.get(text)
      if (other !== undefined) {
        yield {path: [...path, 'prefixes', i], message: `${text} is already near site ${other} (want it at one site)`}
      }
      owner.set(text, site.name)
    }
  }
}

function* checkGateways(inventory: Inventory): Iterable<Problem> {
  const sites = inventory.sites.map((site) => site.name)
  for (const {gateway, path, segment} of placedGateways(inventory)) {
    if (!findSite(inventory, gateway.site)) {
      yield {path: [...path, 'site'], message: `"${gateway.site}" is not a site${hint(gateway.site, sites)}`}
    }
    yield* checkAddress(gateway.ip, segment, [...path, 'ip'])
    if (gateway.ownIp !== undefined) yield* checkOwnIp(gateway.ownIp, segment, [...path, 'ownIp'])
    const twin = segment.gateways.find(
      (other) => other.name !== gateway.name && other.ip === gateway.ip && other.site === gateway.site,
    )
    if (twin && segment.gateways.indexOf(twin) < segment.gateways.indexOf(gateway)) {
      yield {
        path: [...path, 'ip'],
        message: `${gateway.ip} is already ${twin.name}'s at site ${twin.site} (want one gateway an address and site)`,
      }
    }
  }
}

/** A router's own address is nobody else's: the shared one as little as another router's. */
function* checkOwnIp(ownIp: Ipv4, segment: Segment, path: Path): Iterable<Problem> {
  yield* checkAddress(ownIp, segment, path)
  const owners = segment.gateways.filter((gateway) => gateway.ip === ownIp || gateway.ownIp === ownIp)
  if (owners.length > 1 || owners.some((gateway) => gateway.ip === ownIp)) {
    yield {
      path,
      message: `${ownIp} is the address of ${owners.map(({name}) => name).join(' and ')} (want this router's own)`,
    }
  }
}

function* checkVms(inventory: Inventory): Iterable<Problem> {
  const segments = inventory.segments.map((segment) => segment.name)
  const sites = inventory.sites.map((site) => site.name)
  const owner = new Map<string, Owner>()
  for (const vm of inventory.vms) {
    const path = vmPath(vm)
    if (vm.site !== undefined && !findSite(inventory, vm.site) && (vm.nicOf?.at ?? 0) === 0) {
      yield {path: [...path, 'site'], message: `"${vm.site}" is not a site${hint(vm.site, sites)}`}
    }
    const segment = findSegment(inventory, vm.segment)
    if (!segment) {
      yield {path: [...path, 'segment'], message: `"${vm.segment}" is not a segment${hint(vm.segment, segments)}`}
      continue
    }
    yield* checkVmAddress(vm, vm.ip, segment, [...path, 'ip'], owner)
    for (const [i, ip] of (vm.ips ?? []).entries()) yield* checkVmAddress(vm, ip, segment, [...path, 'ips', i], owner)
  }
}

/** Whose something is, and where that is written. */
interface Owner {
  readonly name: string
  readonly path: Path
}

function* checkVmAddress(vm: Vm, ip: Ipv4, segment: Segment, path: Path, owner: Map<string, Owner>): Iterable<Problem> {
  yield* checkAddress(ip, segment, path)
  const gateway = segment.gateways.find((other) => other.ip === ip)
  const other = owner.get(`${vm.segment} ${ip}`)
  if (gateway) yield {path, message: `${ip} is the gateway ${gateway.name}'s (want the VM's own)`}
  if (other !== undefined)
    yield {path, other: other.path, message: `${ip} is already ${other.name}'s (want the VM's own)`}
  else owner.set(`${vm.segment} ${ip}`, {name: vm.name, path})
}

function* checkAddress(ip: Ipv4, segment: Segment, path: Path): Iterable<Problem> {
  const {prefix} = segment
  if (!prefixContains(prefix, ip)) {
    yield {path, message: `${ip} is outside ${prefixText(prefix)} of segment ${segment.name}`}
  } else if (prefix.length < 31 && (ip === prefix.address || ip === lastAddress(prefix))) {
    yield {path, message: `${ip} is the network's or the broadcast address of ${prefixText(prefix)} (want a host's)`}
  }
}

const lastAddress = (prefix: Prefix): Ipv4 =>
  ipv4Text((ipv4Value(prefix.address) | (0xffff_ffff >>> prefix.length)) >>> 0)

/**
 * On one segment a MAC is one station, but for gateways that share their IP: those may share a virtual MAC too. On several
 * segments it may recur: a router has one MAC for all its VLANs.
 */
function* checkOwners(inventory: Inventory): Iterable<Problem> {
  const owner = new Map<string, Owner>()
  const claim = function* (segment: string, mac: Mac, name: string, path: Path, shared = false): Iterable<Problem> {
    const other = owner.get(`${segment} ${mac}`)
    if (other !== undefined && !shared) {
      const message = `${mac} is already ${other.name}'s on segment ${segment} (want a MAC of its own)`
      yield {path, other: other.path, message}
    }
    owner.set(`${segment} ${mac}`, {name, path})
  }
  for (const {gateway, segment, path} of placedGateways(inventory)) {
    const twins = segment.gateways.filter((other) => other.mac === gateway.mac)
    const shared = twins.every((other) => other.ip === gateway.ip)
    yield* claim(gateway.segment, gateway.mac, gateway.name, [...path, 'mac'], shared)
  }
  for (const vm of inventory.vms) yield* claim(vm.segment, vm.mac, vm.name, [...vmPath(vm), 'mac'])
}

function placedGateways(inventory: Inventory) {
  return inventory.segments.flatMap((segment) =>
    segment.gateways.map((gateway, i) => ({gateway, segment, path: ['segments', segment.name, 'gateways', i]})),
  )
}
