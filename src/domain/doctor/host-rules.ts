// What this user and this kernel can do, and which commands that stops.
import type {AbilityName, Capability, DoctorFacts} from './facts.ts'
import {broken, type DoctorFinding, fine, wrong} from './finding.ts'
import {bridgesOf} from './legs.ts'

/** What each capability is for. */
const NEEDED_BY: Readonly<Record<Capability, string>> = {
  CAP_NET_RAW: 'trace, who, garp, guard, init, switch, watch, send-reconfigure, serve',
  CAP_NET_ADMIN: 'filter, mac-proxy, switch by mac-proxy, trace --port-of, garp --announce, serve dhcp-shim',
  CAP_NET_BIND_SERVICE: 'serve dhcp',
  CAP_SYS_ADMIN: 'lab',
}

/** Without the first nothing that sends works; the others are for some hosts alone. */
export function capabilityRule({capabilities, program}: DoctorFacts): readonly DoctorFinding[] {
  const held = (Object.keys(NEEDED_BY) as Capability[]).filter((name) => capabilities.has(name))
  const missing = (Object.keys(NEEDED_BY) as Capability[]).filter((name) => !capabilities.has(name))
  const mend = `sudo ${program} doctor`
  return [
    ...(held.length > 0 ? [fine('capabilities', `held: ${held.join(', ')}`)] : []),
    ...missing.map((name) => {
      const what = `${name} is not held`
      const why = `it is needed by ${NEEDED_BY[name]}`
      return name === 'CAP_NET_RAW' ? broken('no-capability', what, why, mend) : wrong('no-capability', what, why, mend)
    }),
  ]
}

const PACKAGES: Readonly<Record<string, string>> = {ip: 'iproute2', bridge: 'iproute2', nft: 'nftables'}

export function programRule({programs}: DoctorFacts): readonly DoctorFinding[] {
  const missing = Object.keys(programs).filter((name) => !programs[name])
  if (missing.length === 0) return [fine('programs', `found: ${Object.keys(programs).join(', ')}`)]
  return missing.map((name) => {
    const why =
      name === 'nft' ? 'filter and mac-proxy load their rules by it' : 'routes, neighbours and bridges are read by it'
    const mend = `apt-get install -y ${PACKAGES[name] ?? name}`
    return (name === 'nft' ? wrong : broken)('no-program', `the program ${name} was not found`, why, mend)
  })
}

interface AbilityRule {
  readonly what: string
  readonly without: string
  /** Whether this host needs it. */
  readonly matters: (facts: DoctorFacts) => boolean
  readonly level: typeof wrong
}

const hasBridge = (facts: DoctorFacts): boolean => bridgesOf(facts).length > 0
const ABILITY: Readonly<Record<AbilityName, AbilityRule>> = {
  'raw-frames': {
    what: 'raw frames (AF_PACKET)',
    without: 'nothing can be sent or heard',
    matters: () => true,
    level: broken,
  },
  'nft-bridge': {
    ...{what: 'nftables for bridges', without: 'filter and mac-proxy cannot work on this bridge'},
    ...{matters: hasBridge, level: broken},
  },
  'nft-timeouts': {
    ...{what: 'timeouts of nftables sets', without: 'a filter cannot let its entries end by themselves'},
    ...{matters: hasBridge, level: wrong},
  },
  'vlan-devices': {
    what: 'VLAN devices (802.1Q)',
    without:
      'a segment with a tag has no interface of its own here; tagged frames are sent and read all the same (--vlan)',
    matters: ({inventory, interfaces}) =>
      inventory?.inventory?.segments.some(
        ({vlan, ports}) =>
          typeof vlan === 'number' && ports?.some((port) => interfaces.some(({name}) => name === port)),
      ) === true,
    level: wrong,
  },
  conntrack: {
    what: 'connection tracking',
    without: 'nothing of gwswitch on this host needs it',
    matters: () => false,
    level: wrong,
  },
}

export function abilityRule(facts: DoctorFacts): readonly DoctorFinding[] {
  return (Object.keys(ABILITY) as AbilityName[]).map((name) => {
    const {state, why} = facts.abilities[name]
    const {what, without, matters, level} = ABILITY[name]
    if (state === 'yes') return fine(name, `the kernel has ${what}`)
    const said = why === null ? '' : ` (${why})`
    if (state === 'unknown') return fine(name, `${what}: not tried, this user may not${said}`)
    return matters(facts)
      ? level(name, `the kernel has no ${what}${said}`, without, null)
      : fine(name, `the kernel has no ${what}${said}; nothing here needs it`)
  })
}

export function socketRule({sockets}: DoctorFacts): readonly DoctorFinding[] {
  return sockets.flatMap(({service, path, state}) => {
    if (state === 'listening') return [fine('service', `${service} listens at ${path}`)]
    if (state === 'forbidden') return [fine('service', `${path}: this user may not ask whether ${service} listens`)]
    if (state === 'absent') return []
    const why = `${service} is not running, and whoever gives it orders there fails`
    return [wrong('dead-socket', `nobody listens at ${path}`, why, `rm ${path}`)]
  })
}
