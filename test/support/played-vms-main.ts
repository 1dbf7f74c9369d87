// Many VMs in one process, each with a neighbour table of its own: what `playedVms` starts in a namespace. The first line of
// its input says who they are; each further line asks for their gateways' MACs.
import {createInterface} from 'node:readline'
import {openLink} from '../../src/net/packet/link.ts'
import {type FakeVm, vmBehind} from '../../src/testing/vm.ts'
import type {FakeWorld} from '../../src/testing/world.ts'
import {parseArp} from '../../src/wire/arp.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, parseEthernet} from '../../src/wire/ethernet.ts'
import {parseFrame, udpFrame} from '../../src/wire/frames.ts'
import {agentOf, type MacOf} from './played-agent.ts'

export interface Played {
  readonly interface: string
  readonly vms: readonly (FakeVm & {readonly gatewayIp: string})[]
  /** They have agents, which take this key and sign by it; which MAC is behind which gateway address. */
  readonly agents?: {readonly key: string; readonly macs: MacOf}
}

const lines = createInterface({input: process.stdin})[Symbol.asyncIterator]()
const {interface: name, vms, agents} = JSON.parse((await lines.next()).value ?? '') as Played
const link = await openLink(name, {promiscuous: true})
// The part of it that a VM uses.
const world = {deliver: (bytes: Uint8Array) => void link.send(bytes)} as unknown as FakeWorld
const behind = new Map(vms.map((vm) => [vm.mac, vmBehind(vm, vm.gatewayIp)]))
const agentBehind = new Map(agents ? vms.map((vm) => [vm.mac, agentOf(vm, agents.key, agents.macs)]) : [])
const byIp = new Map(vms.map(({ip, mac}) => [ip, mac]))
link.onFrame(({bytes}) => {
  const {destination, etherType, payload} = parseEthernet(bytes)
  const mac =
    destination === 'ff:ff:ff:ff:ff:ff' && etherType === ETHERTYPE_ARP
      ? byIp.get(parseArp(payload).targetIp)
      : destination
  if (etherType === ETHERTYPE_IPV4 && agentAnswers(bytes)) return
  behind.get(mac ?? '')?.(bytes, world)
})
// So that bridges learn where they are, as a VM's own traffic has them.
for (const vm of vms) if (!vm.silent) link.send(hello(vm.mac))
process.stdout.write('ready\n')
for await (const _ of lines) process.stdout.write(`${JSON.stringify(vms.map(({gatewayMac}) => gatewayMac))}\n`)
process.exit()

/** A command to the agent of one of them. */
function agentAnswers(bytes: Uint8Array): boolean {
  const frame = parseFrame(bytes)
  if (frame.kind !== 'udp') return false
  const {ethernet, ip, udp} = frame
  const answer = agentBehind.get(ethernet.destination)?.(udp.payload)
  if (answer !== undefined)
    link.send(
      udpFrame(
        {destination: ethernet.source, source: ethernet.destination},
        {source: ip.destination, destination: ip.source},
        {sourcePort: udp.destinationPort, destinationPort: udp.sourcePort, payload: Buffer.from(answer)},
      ),
    )
  return true
}

/** A frame that nobody answers (IEEE 802 local experimental EtherType). */
function hello(mac: string): Uint8Array {
  const frame = new Uint8Array(60).fill(0xff, 0, 6)
  frame.set(
    mac.split(':').map((byte) => Number.parseInt(byte, 16)),
    6,
  )
  frame.set([0x88, 0xb5], 12)
  return frame
}
