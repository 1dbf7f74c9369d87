import type {Strategy} from '../strategies/strategy.ts'

/** Our own answer to the hook that every plugin with strategies answers. */
export default async function strategies(): Promise<Strategy[]> {
  const {arp} = await import('../strategies/arp/arp.ts')
  const {agent} = await import('../strategies/agent/agent.ts')
  const {dhcp} = await import('../strategies/dhcp/dhcp.ts')
  const {macProxy} = await import('../strategies/mac-proxy/mac-proxy.ts')
  return [arp as Strategy, agent as Strategy, dhcp as Strategy, macProxy as Strategy]
}
