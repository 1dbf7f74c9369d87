// Which interfaces there are, where nothing else is to be known of them.
import {readdirSync} from 'node:fs'

/** The names in this network namespace (sysfs(5)), without the loopback; none where sysfs is not mounted. */
export function interfaceNames(): readonly string[] {
  try {
    return readdirSync('/sys/class/net').filter((name) => name !== 'lo' && name !== 'bonding_masters')
  } catch {
    return []
  }
}
