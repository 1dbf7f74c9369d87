// What gwswitch asks for (package.json, "oclif"): this plugin's strategies. What is not chosen is not loaded.
import {CONTRACT, type LazyStrategy} from 'gwswitch'

export default async function strategies(): Promise<LazyStrategy[]> {
  const load = async () => (await import('./policy-route.ts')).policyRoute()
  return [{contract: CONTRACT, name: 'policy-route', load}]
}
