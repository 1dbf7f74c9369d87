// Route and neighbours as the kernel holds them, before and after a run.
import type {RouteSnapshot} from '../../domain/trace/evidence.ts'
import type {World} from '../../net/world.ts'
import type {Candidate, CurrentHop, HopQuestion} from './candidates.ts'

export async function routeSnapshot(
  world: World,
  {destination, source, mark}: HopQuestion,
  hop: CurrentHop,
  candidates: readonly Candidate[],
): Promise<RouteSnapshot> {
  const [route, entries] = await Promise.all([
    world.routeTo(destination.ip, {interfaceName: hop.facts.name, source, mark}),
    world.neighbours(hop.facts.name),
  ])
  const ips = new Set(candidates.map((candidate) => candidate.ip))
  return {
    gateway: route?.gateway ?? null,
    redirected: route?.redirected ?? false,
    expiresMs: route?.redirected && route.expiresS !== undefined ? route.expiresS * 1000 : null,
    neighbours: entries.flatMap((entry) =>
      entry.mac !== undefined && ips.has(entry.ip) ? [{ip: entry.ip, mac: entry.mac}] : [],
    ),
  }
}
