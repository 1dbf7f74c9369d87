import type {LazyStrategy} from '../strategies/registry.ts'
import {CONTRACT, type Strategy} from '../strategies/strategy.ts'

/** Each plan is of its strategy's own shape, which nobody else looks into. */
const lazy = (name: string, load: () => Promise<unknown>): LazyStrategy => ({
  ...{contract: CONTRACT, name},
  load: async () => (await load()) as Strategy,
})

/** Our own answer to the hook that every plugin with strategies answers. What is not chosen is not loaded. */
export default async function strategies(): Promise<LazyStrategy[]> {
  return [
    lazy('arp', async () => (await import('../strategies/arp/arp.ts')).arp),
    lazy('agent', async () => (await import('../strategies/agent/agent.ts')).agent),
    lazy('dhcp', async () => (await import('../strategies/dhcp/dhcp.ts')).dhcp),
    lazy('mac-proxy', async () => (await import('../strategies/mac-proxy/mac-proxy.ts')).macProxy),
  ]
}
