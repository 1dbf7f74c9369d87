// The ways of a VM whose traffic all takes its default routes, for facts made up by tests.
import type {Way} from '../../../src/domain/agent/egress.ts'
import type {PolicyFacts} from '../../../src/domain/agent/facts.ts'

/** By overlays and default routes alone, as the kernel would. */
export function usualWays(families: () => PolicyFacts['families']): Pick<PolicyFacts, 'waysOf' | 'waysTo'> {
  const way = (family: 4 | 6, what: string, bound?: number): Way => {
    const {overlay, routes} = families()[family]
    const route = routes.find(({interfaceIndex}) => bound === undefined || interfaceIndex === bound)
    const over = bound === undefined || overlay?.interfaceIndex === bound ? overlay : undefined
    return {
      ...{kind: 'ordinary', what, byDefault: true, route: 'the default route of the main table'},
      ...{gateway: over?.gateway ?? route?.gateway, interfaceName: 'eth0'},
      interfaceIndex: over?.interfaceIndex ?? route?.interfaceIndex ?? 0,
    }
  }
  return {
    waysOf: (family, bound) => [way(family, 'what is sent', bound)],
    waysTo: (family, destinations, bound) => destinations.map((to) => way(family, to, bound)),
  }
}
