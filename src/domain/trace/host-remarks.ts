// What this host's own packets may do otherwise than the probes did.
import type {TraceEvidence} from './evidence.ts'
import type {Flag} from './flag.ts'

/** Remarks on the host's routing: every one names what other traffic of the host may meet. */
export function hostFlags({host}: TraceEvidence): readonly Flag[] {
  const {nextHops, otherDefaults, rules, otherSources} = host.routing
  const flags: Flag[] = []
  if (nextHops.length > 1) {
    const total = nextHops.reduce((sum, {weight}) => sum + weight, 0)
    const shares = nextHops.map(({gateway, weight}) => `${Math.round((weight / total) * 100)} % via ${gateway}`)
    flags.push({code: 'several-next-hops', detail: `this host shares its flows: ${shares.join(', ')}`})
  }
  if (otherDefaults.length > 0) {
    const detail = `this host has other default routes: ${otherDefaults.join('; ')}`
    flags.push({code: 'other-default-routes', detail})
  }
  if (rules.length > 0) {
    const detail = `rules send some of this host's traffic another way: ${rules.join('; ')}; ask for it with --source or --mark`
    flags.push({code: 'policy-routing', detail})
  }
  if (otherSources.length > 0 && rules.length > 0) {
    const detail = `programs may use other addresses of ${host.iface}: ${otherSources.join(', ')}`
    flags.push({code: 'other-sources', detail})
  }
  return flags
}
