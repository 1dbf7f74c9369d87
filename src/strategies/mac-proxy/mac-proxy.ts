// The redirection: the VM keeps sending to the old gateway's MAC, and its bridge hands the frames to the new gateway.
import type {Stage, Strategy, Verdict} from '../strategy.ts'
import {type MacProxyPlan, type ProxiedGateway, planMacProxy} from './plan.ts'
import {type Proof, prove} from './prove.ts'
import {type ProxyWorld, systemProxyWorld} from './proxy-world.ts'
import {chainOf, PROXY_TABLE, removeProxyTable} from './ruleset.ts'

/** The strategy on a host of its own, for tests; {@link macProxy} is the one on this machine. @internal */
export const macProxyOn = (host: ProxyWorld): Strategy<MacProxyPlan> => ({
  name: 'mac-proxy',
  summary: "lets the VM's bridge redirect its packets to the new gateway; neither VM nor routers notice",
  traits: {
    controlledAt: "the VM's bridge",
    layer: 'L2',
    gatewayIp: 'stays',
    sessions: 'kept',
    needs:
      "nft on the VM's hypervisor, and the new gateway on the same segment; egress only (inbound comes as it came), " +
      'and the old gateway must stay reachable for ARP',
  },
  plan: (switchover, options) => planMacProxy(switchover, options, host),
  async execute(plan, {observe, world}) {
    await host.loadNft(plan.ruleset)
    observe({
      atNs: world.now(),
      text: `${plan.bridge} redirects ${plan.vm.name} from ${plan.from.mac} to ${plan.to.mac}`,
    })
  },
  verify: (plan, stage) => verdict(plan, plan.to, stage, host),
  async rollback(plan, stage) {
    await host.loadNft(plan.release)
    const left = await host.readTable('bridge', PROXY_TABLE)
    const isEmpty = left !== undefined && !left.rules.some(({chain}) => chain !== 'from_vms')
    if (isEmpty) await host.loadNft(removeProxyTable())
    stage.observe({atNs: stage.world.now(), text: `${plan.bridge} redirects ${plan.vm.name} no more`})
    return verdict(plan, plan.from, stage, host)
  },
  describe: ({vm, bridge, port, from, to, segment}) => [
    `let ${bridge} rewrite, on ${port}, what ${vm.name} (${vm.mac}) sends off ${segment.prefix} by way of ${from.name} (${from.mac}, site ${from.site}) to ${to.name} (${to.mac}, site ${to.site})`,
    `leave ARP, and packets for ${from.ip} itself, as they are: ${vm.name} notices nothing`,
    `check it by an echo from off the segment: the answer must leave ${bridge} for ${to.mac}`,
    'otherwise take the rule away',
  ],
})

export const macProxy: Strategy<MacProxyPlan> = macProxyOn(systemProxyWorld)

async function verdict(plan: MacProxyPlan, wanted: ProxiedGateway, stage: Stage, host: ProxyWorld): Promise<Verdict> {
  const proof = await prove(plan, wanted.mac, stage)
  const table = await host.readTable('bridge', PROXY_TABLE)
  const packets = table?.rules
    .filter(({chain}) => chain === chainOf(plan.vm.mac))
    .reduce((sum, {counter}) => sum + (counter?.packets ?? 0), 0)
  return {
    ok: proof.leaves?.mac === wanted.mac,
    evidence: [
      ...evidenceOf(plan, wanted, proof),
      ...(packets === undefined ? [] : [`${packets} packets redirected so far`]),
    ],
  }
}

function evidenceOf(
  {vm, from, to, bridge, port, watch}: MacProxyPlan,
  wanted: ProxiedGateway,
  {leaves, sends}: Proof,
): string[] {
  const named = (mac: string): string =>
    [from, to].find((gateway) => gateway.mac === mac)?.name ?? 'no gateway of this segment'
  if (leaves !== undefined) {
    const own =
      sends === undefined || sends === leaves.mac
        ? ''
        : `, though ${vm.name} itself sends them to ${named(sends)} (${sends})`
    const where = `packets of ${vm.name} leave ${bridge} through ${leaves.port} for ${named(leaves.mac)} (${leaves.mac})${own}`
    return leaves.mac === wanted.mac ? [where] : [where, `they should leave for ${wanted.name} (${wanted.mac})`]
  }
  if (sends === undefined)
    return [`${vm.name} is silent on ${port}: no answer to an echo from off the segment, and no traffic`]
  return [
    `${vm.name} sends to ${named(sends)} (${sends}), but nothing of it was seen to leave through ${watch.join(', ') || 'any port'}`,
  ]
}
