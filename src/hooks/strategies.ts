import type {Strategy} from '../strategies/strategy.ts'

/** Our own answer to the hook that every plugin with strategies answers. */
export default async function strategies(): Promise<Strategy[]> {
  const {arp} = await import('../strategies/arp/arp.ts')
  const {dhcp} = await import('../strategies/dhcp/dhcp.ts')
  const {macProxy} = await import('../strategies/mac-proxy/mac-proxy.ts')
  return [arp as Strategy, dhcp as Strategy, macProxy as Strategy]
}
