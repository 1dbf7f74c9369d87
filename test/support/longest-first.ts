// In which order files begin: what takes longest first, so that nothing long begins when all else is done.
import {BaseSequencer, type TestSpecification} from 'vitest/node'

/**
 * Of more than 25 s, the longest first, and QEMU guests apart from each other: without hardware help each wants a core. Only
 * their order matters; the rest goes as vitest knows or guesses it.
 */
const LONG = [
  'peers/proof',
  'peers/agent-site',
  'peers/agent-kill',
  'peers/proof-mac-proxy',
  'peers/proof-agent',
  'peers/dhcp-ends',
  'peers/agent-modes',
  'peers/dhcp-reconfigure-clients',
  'e2e/qemu-vlans',
  'peers/dhcp-reconfigure',
  'peers/proof-kill',
  'e2e/trombone',
  'lab/scenarios',
  'peers/agent-drain',
  'e2e/qemu-carrier',
  'peers/dhcp-backends',
  'peers/dhcp-kea',
  'e2e/qemu-agent',
  'peers/arp-stability',
  'peers/who',
  'peers/agent-rules',
  'peers/agent-restart',
  'peers/mac-proxy-commands',
  'e2e/agent-no-ipv6',
  'e2e/agent-notify',
  'e2e/pack',
  'e2e/trace-vantage',
  'peers/agent-cli',
  'peers/dhcp-server',
  'peers/filter-check',
  'lab/move',
  'e2e/agent-site',
  'peers/agent-rollback',
  'peers/agent-standing',
  'peers/agent-networkmanager',
  'peers/agent-systemd',
  'peers/dhcp-shim',
  'e2e/dhcp-shim-trunk',
]

/** 0 for the longest; those that are not listed come behind. */
function rank({moduleId}: TestSpecification): number {
  const place = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return place < 0 ? LONG.length : place
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}
