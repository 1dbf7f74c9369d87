// In which order files begin: what takes longest first, so that nothing long begins when all else is done.
import {BaseSequencer, type TestSpecification} from 'vitest/node'

/**
 * Of more than 25 s, the longest first, and QEMU guests apart from each other: without hardware help each wants a core. Only
 * their order matters; the rest goes as vitest knows or guesses it.
 */
const LONG = [
  'e2e/agent-migration',
  'peers/proof',
  'peers/dhcp-shim',
  'peers/dhcp-backends',
  'e2e/qemu-vlans',
  'peers/dhcp-ends',
  'peers/agent-modes',
  'peers/site-control',
  'peers/journal',
  'peers/agent-site',
  'peers/agent-drain',
  'e2e/qemu-carrier',
  'peers/dhcp-kea',
  'e2e/qemu-agent',
  'peers/dhcp-reconfigure-clients',
  'peers/agent-kill',
  'peers/proof-mac-proxy',
  'e2e/dhcp-shim-trunk',
  'peers/dhcp-server',
  'peers/dhcp-reconfigure',
  'e2e/trombone',
  'e2e/first-minutes',
  'peers/proof-agent',
  'e2e/agent-no-ipv6',
  'peers/mac-proxy-commands',
  'peers/agent-rules',
  'peers/arp-stability',
  'peers/agent-standing',
  'peers/proof-kill',
  'peers/init',
  'peers/who',
  'e2e/agent-notify',
  'e2e/trace-vantage',
  'peers/agent-restart',
  'peers/dhcp-two-servers',
  'peers/dhcp-shim-switch',
  'e2e/agent-site',
  'peers/proof-elsewhere',
  'peers/cli-ends',
  'peers/arp-strategy6',
  'lab/lab',
  'lab/move',
  'peers/agent-rollback',
  'lab/scenarios',
  'peers/filter-check',
  'peers/agent-systemd',
  'peers/site-operations',
  'peers/events-libvirt',
  'peers/events-nova',
  'e2e/pack',
  'peers/dhcp-four',
  'peers/agent-cli',
  'peers/agent-networkmanager',
  'e2e/hook-libvirt',
  'peers/hook-programs',
  'e2e/qemu-libvirt',
  'e2e/qemu-before-resume',
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
