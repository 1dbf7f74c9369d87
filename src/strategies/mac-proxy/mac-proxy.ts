// The redirection: the VM keeps sending to the old gateway's MAC, and its bridge hands the frames to the new gateway.
import {type Redirect, redirectsIn, type StandingRedirect, usedBy} from '../../domain/mac-proxy/ruleset.ts'
import {together} from '../../probe/together.ts'
import type {Mac} from '../../wire/address.ts'
import {ofBothFamilies} from '../left-ip6.ts'
import type {Eyes} from '../scene.ts'
import {describeSpeaking} from '../speak-for/plan.ts'
import {speakInSwitch, withStillKnown} from '../speak-for/speak-in-place.ts'
import {lookBefore, proveServed, putBack} from '../standing.ts'
import {CONTRACT, type Stage, type Strategy, type Verdict} from '../strategy.ts'
import {type MacProxyPlan, planMacProxy, redirectFor} from './plan.ts'
import {askLeaving, type Leaving} from './prove.ts'
import {type ProxyWorld, systemProxyWorld} from './proxy-world.ts'
import {meantRedirects, proxyTable, redirectVm, releaseVms} from './redirects.ts'

/** The strategy on a host of its own, for tests; {@link macProxy} is the one on this machine. */
export const macProxyOn = (host: ProxyWorld): Strategy<MacProxyPlan> => ({
  contract: CONTRACT,
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
  takes: ['vlanId', 'verifyTo'],
  plan: (switchover, options, world) => planMacProxy(switchover, options, host, world),
  async look(plan, stage) {
    const {redirect, meant} = await redirectBefore(plan, host)
    const {eyes, sends} = eyesOn(plan)
    // Taking a redirection back is right wherever the VM is.
    const takesBack = redirect !== null && usedBy(redirect) === plan.to.mac
    const {standing, ends} = await lookBefore({...plan.scene, ...(takesBack && {dciRttMs: null})}, stage, {eyes})
    const before = {...standing, sends: sends(), redirect, meant}
    return {plan: {...plan, before}, uses: standing.uses, ends: ends && ofBothFamilies(plan, ends)}
  },
  async execute(plan, stage) {
    const {observe, world} = stage
    const sends = sendsOf(plan)
    const redirect = redirectFor(plan, sends, plan.to.mac)
    await (redirect === null ? releaseVms(host, [plan.vm.mac]) : redirectVm(host, redirect))
    const used = sends.filter((mac) => mac !== plan.to.mac)
    const text =
      redirect === null
        ? `${plan.vm.name} sends to ${plan.to.mac} by itself: ${plan.bridge} redirects it no more`
        : `${plan.bridge} redirects ${plan.vm.name} from ${used.join(' and ') || plan.from.mac} to ${plan.to.mac}`
    observe({atNs: world.now(), text})
    if (plan.announce) await speakInSwitch(plan.announce, stage)
  },
  async verify(plan, stage) {
    const verdict = await proveServed(plan.scene, stage, eyesOn(plan))
    return withCount(plan, ofBothFamilies(plan, verdict), host)
  },
  async rollback(plan, stage) {
    const {before} = plan
    const {eyes} = eyesOn(plan)
    const tell = (): Promise<void> => restoreRules(plan, host, stage)
    // The rules that were there are known, whether or not a packet was seen.
    const verdict = await putBack(plan.scene, before, {remembers: true, eyes, tell}, stage)
    const back = {...verdict, ok: verdict.ok || before?.uses == null}
    return plan.announce ? withStillKnown(back, plan.announce, stage) : back
  },
  describe: ({vm, bridge, port, from, to, segment, announce}) => [
    `let ${bridge} rewrite, on ${port}, what ${vm.name} (${vm.mac}) sends off ${segment.prefix} by way of ${from.name} (${from.mac}, site ${from.site}) to ${to.name} (${to.mac}, site ${to.site})`,
    `leave ARP, and packets for ${from.ip} itself, as they are: ${vm.name} notices nothing`,
    ...(announce ? [describeSpeaking(announce)] : []),
    `check it by an echo from off the segment: the answer must leave ${bridge} for ${to.mac}`,
    'otherwise take the rule away',
  ],
})

export const macProxy: Strategy<MacProxyPlan> = macProxyOn(systemProxyWorld)

/** Looks where packets leave the bridge, and remembers where the VM itself sends them. */
function eyesOn(plan: MacProxyPlan): {eyes: Eyes; sends(): readonly Mac[]} {
  let sends: readonly Mac[] = []
  const eyes: Eyes = async (scene, {wanted, any, listenMs, waitMs}, stage) => {
    const addresses = scene.families.map((family) => (family === 4 ? scene.vm.ip : scene.vm.ip6))
    const question = {wanted: any ? undefined : wanted.mac, listenMs, waitMs}
    const seen = await together<Leaving[]>(
      stage.signal,
      addresses
        .filter((ip) => ip !== null)
        .map((ip) => (signal: AbortSignal) => askLeaving(plan, ip, question, {...stage, signal})),
    )
    const now = [...new Set(seen.flatMap((each) => each.sends ?? []))]
    if (now.length > 0) sends = now
    return seen.map(({egress}) => egress)
  }
  return {eyes, sends: () => sends}
}

/** Where the VM sends by itself; one that says nothing now sent where the redirection that stands takes it from. */
const sendsOf = ({before}: MacProxyPlan): readonly Mac[] => {
  const {sends = [], redirect} = before ?? {}
  return sends.length === 0 && redirect ? [usedBy(redirect)] : sends
}

const standingRedirect = async (mac: Mac, host: ProxyWorld): Promise<StandingRedirect | undefined> =>
  redirectsIn((await proxyTable(host))?.rules).find(({vm}) => vm === mac)

/** As the kernel has it; what it does not say is in the record, if that is about the same one. */
async function redirectBefore(plan: MacProxyPlan, host: ProxyWorld) {
  const standing = await standingRedirect(plan.vm.mac, host)
  const meant = meantRedirects(host).find(({vm}) => vm.mac === plan.vm.mac) ?? null
  if (standing === undefined) return {redirect: null, meant}
  const isMeant = meant !== null && usedBy(meant) === standing.from && meant.to.mac === standing.to
  return {redirect: isMeant ? meant : redirectFor(plan, [standing.from], standing.to), meant}
}

/** Exactly the redirection that was there before, none included. */
async function restoreRules(plan: MacProxyPlan, host: ProxyWorld, {world, observe}: Stage): Promise<void> {
  const back: Redirect | null = plan.before?.redirect ?? null
  await (back === null ? releaseVms(host, [plan.vm.mac], plan.before?.meant) : redirectVm(host, back))
  const text = back === null ? 'redirects it no more' : `redirects it from ${usedBy(back)} to ${back.to.mac} again`
  observe({atNs: world.now(), text: `${plan.bridge}: ${plan.vm.name}: ${text}`})
}

async function withCount(plan: MacProxyPlan, verdict: Verdict, host: ProxyWorld): Promise<Verdict> {
  const standing = await standingRedirect(plan.vm.mac, host)
  if (standing === undefined) return verdict
  return {...verdict, evidence: [...verdict.evidence, `${standing.packets} packets redirected so far`]}
}
