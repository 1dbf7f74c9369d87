// Where the lab's VMs are, and moving them.
import {setTimeout as sleep} from 'node:timers/promises'
import {Failure} from '../errors.ts'
import {anyOf} from '../net/packet/bpf.ts'
import {openPacketSocket, type PacketSocket} from '../net/packet/packet-socket.ts'
import {runCommand} from '../net/process/command.ts'
import {inNamespace} from '../net/process/netns.ts'
import {ANY_IPV4, BROADCAST} from '../wire/address.ts'
import {RARP_REQUEST, serializeArp} from '../wire/arp.ts'
import {ETHERTYPE_RARP, serializeEthernet} from '../wire/ethernet.ts'
import {requireUp} from './lab.ts'
import {withLock} from './state.ts'
import {
  interfaceIn,
  type LabSite,
  type LabVm,
  labTopology,
  namespaceOf,
  SITES,
  uplink,
  VMS,
  vmBridge,
} from './topology.ts'

/**
 * When QEMU announces a resumed guest, ms after it resumed (announce-initial 50, -step 100, -max 550, -rounds 5).
 * @internal
 */
export const ANNOUNCE_AT_MS: readonly number[] = [0, 50, 200, 450, 800]

export interface VmMove {
  readonly vm: string
  readonly from: LabSite
  readonly to: LabSite
  /** The arrival, CLOCK_REALTIME in nanoseconds: when the first announcement left; undefined if it was there already. */
  readonly arrivedNs: bigint | undefined
  /** Resolves when the last announcement is out. Never rejects. */
  readonly announced: Promise<void>
}

/** The VM of that name. @throws Failure `usage` if the lab has none. */
export function labVm(name: string): LabVm {
  const found = VMS.find((vm) => vm.name === name)
  if (found) return found
  throw new Failure('usage', `lab: there is no VM ${name}: want ${VMS.map((vm) => vm.name).join(' or ')}`)
}

interface PortFacts {
  readonly ifname: string
  readonly master?: string
}

/** The site that each VM is attached to, by VM name. */
export async function vmSites(prefix: string): Promise<Readonly<Record<string, LabSite>>> {
  const output = await runCommand('ip', ['-n', namespaceOf(prefix, 'hv'), '-json', 'link', 'show'])
  const masters = new Map((JSON.parse(output) as PortFacts[]).map(({ifname, master}) => [ifname, master]))
  return Object.fromEntries(
    VMS.map(({name}) => {
      const site = SITES.find((candidate) => masters.get(uplink(name, candidate)) === vmBridge(name))
      if (site === undefined) throw new Failure('runtime', `lab ${prefix}: ${name} is attached to neither site`)
      return [name, site]
    }),
  )
}

/**
 * Moves a VM to a site as a live migration does: its interface keeps carrier, addresses, neighbours and sockets, and
 * only the port behind it changes sites. Then announces its MAC as QEMU does, so that switches learn where it is.
 * The promise resolves on arrival, with the first announcement out. A VM that is there already stays untouched.
 *
 * @throws Failure `usage` for an unknown VM or site, `runtime` if the lab is not up.
 */
export async function moveVm(prefix: string, vmName: string, to: LabSite): Promise<VmMove> {
  const vm = labVm(vmName)
  if (!SITES.includes(to)) throw new Failure('usage', `lab: there is no site ${to}: want ${SITES.join(' or ')}`)
  const options = requireUp(prefix)
  return withLock(prefix, async () => {
    const from = (await vmSites(prefix))[vm.name]!
    if (from === to) return {vm: vm.name, from, to, arrivedNs: undefined, announced: Promise.resolve()}
    const {index} = interfaceIn(labTopology(options), 'hv', uplink(vm.name, to))
    const hypervisor = namespaceOf(prefix, 'hv')
    // It only sends: the filter accepts nothing.
    const socket = inNamespace(hypervisor, () => openPacketSocket({interfaceIndex: index, filter: anyOf([])}))
    try {
      const lines = [
        `link set ${uplink(vm.name, from)} nomaster`,
        `link set ${uplink(vm.name, to)} master ${vmBridge(vm.name)}`,
      ]
      await runCommand('ip', ['-n', hypervisor, '-batch', '-'], {input: `${lines.join('\n')}\n`})
      const arrivedNs = socket.send(announcement(vm))
      return {vm: vm.name, from, to, arrivedNs, announced: announceAgain(socket, vm)}
    } catch (error) {
      socket.close()
      throw error
    }
  })
}

/** RARP "reverse request" from the VM's MAC: 60 bytes, as QEMU sends it. It moves switches' tables, no ARP cache. */
const announcement = ({mac}: LabVm): Uint8Array =>
  serializeEthernet({
    destination: BROADCAST,
    source: mac,
    etherType: ETHERTYPE_RARP,
    payload: serializeArp({
      operation: RARP_REQUEST,
      senderMac: mac,
      senderIp: ANY_IPV4,
      targetMac: mac,
      targetIp: ANY_IPV4,
    }),
  })

async function announceAgain(socket: PacketSocket, vm: LabVm): Promise<void> {
  const start = performance.now()
  try {
    for (const atMs of ANNOUNCE_AT_MS.slice(1)) {
      await sleep(Math.max(0, start + atMs - performance.now()))
      socket.send(announcement(vm))
    }
  } catch {
    // The lab went down, or the VM moved on: there is nobody left to tell.
  } finally {
    socket.close()
  }
}
