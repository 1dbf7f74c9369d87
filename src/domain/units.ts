// systemd units that put back what was recorded on this host, and look after it: systemd.unit(5), systemd.timer(5).

export interface UnitFile {
  readonly name: string
  readonly text: string
}

/** What there are units for. */
export interface Recorded {
  /** The topic of its commands, and of the units' names. */
  readonly topic: 'filter' | 'mac-proxy'
  /** What it is for, in a line. */
  readonly says: string
  readonly asks: string
  /** Words behind the topic: what puts it back, and what compares. */
  readonly apply: readonly string[]
  readonly check: readonly string[]
  /** Without this file there is nothing to put back. */
  readonly record: string
}

export const FILTER: Recorded = {
  topic: 'filter',
  says: 'shared gateways stay local to this site',
  asks: 'is it what is meant?',
  apply: ['apply', '--recorded'],
  check: ['check'],
  record: '/var/lib/gwswitch/filter.json',
}

export const MAC_PROXY: Recorded = {
  topic: 'mac-proxy',
  says: 'the bridge redirects VMs to the gateway of this site',
  asks: 'does the bridge redirect what is meant?',
  apply: ['apply'],
  check: ['list'],
  record: '/var/lib/gwswitch/mac-proxy.json',
}

/** What starts at boot. Each timer by the name of the service that it starts. */
export const enabledOf = ({topic}: Recorded): readonly string[] => [
  `gwswitch-${topic}.service`,
  `gwswitch-${topic}-check.timer`,
]

/** `command`: how this gwswitch is started, absolute paths. */
export function recordedUnits(
  {topic, says, asks, apply, check, record}: Recorded,
  command: readonly string[],
): UnitFile[] {
  const run = (args: readonly string[]): string => [...command, topic, ...args].map(quoted).join(' ')
  const name = `gwswitch-${topic}`
  return [
    {
      name: `${name}.service`,
      text: `# A restart of nftables flushes every table; with it this is started again.
[Unit]
Description=gwswitch ${topic}: ${says}
After=network-online.target nftables.service firewalld.service
Wants=network-online.target
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
ConditionPathExists=${record}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${run(apply)}
ExecReload=${run(apply)}
# The ports may come later than the network.
Restart=on-failure
RestartSec=5s

[Install]
WantedBy=multi-user.target nftables.service
`,
    },
    {
      name: `${name}-check.service`,
      text: `[Unit]
Description=gwswitch ${topic}: ${asks}
After=${name}.service
ConditionPathExists=${record}

[Service]
Type=oneshot
ExecStart=${run(check)}
`,
    },
    {
      name: `${name}-check.timer`,
      text: `[Unit]
Description=gwswitch ${topic}: a check every minute

[Timer]
OnBootSec=2min
OnUnitActiveSec=1min

[Install]
WantedBy=timers.target
`,
    },
  ]
}

/** What the resident service of a site needs. */
export interface SiteNeeds {
  /** Names of capabilities(7). */
  readonly capabilities: readonly string[]
  /** Where it changes files, beside folders of its own. */
  readonly folders: readonly string[]
}

/** `words`: what is behind `serve site`. */
export const siteUnit = (
  command: readonly string[],
  words: readonly string[],
  {capabilities, folders}: SiteNeeds,
): UnitFile => ({
  name: 'gwswitch-site.service',
  text: `# Root's files and sockets; of root's rights those that its inventory asks for.
[Unit]
Description=gwswitch site: switches the VMs that come to this site
After=network-online.target libvirtd.service
Wants=network-online.target

[Service]
Type=notify
ExecStart=${[...command, 'serve', 'site', ...words].map(quoted).join(' ')}
# Reads the inventory and the key again.
ExecReload=/bin/sh -c "kill -HUP $MAINPID"
Restart=on-failure
RestartSec=2s
WatchdogSec=30s
# Switches under way are taken back before it ends; where it cannot do that any more, by its guard, which outlives it.
TimeoutStopSec=60s
KillMode=process
RuntimeDirectory=gwswitch
# Other services of gwswitch have their sockets there.
RuntimeDirectoryPreserve=yes
StateDirectory=gwswitch
LogsDirectory=gwswitch
CacheDirectory=gwswitch
Environment=XDG_CACHE_HOME=/var/cache/gwswitch

CapabilityBoundingSet=${capabilities.join(' ')}
NoNewPrivileges=yes
ProtectSystem=strict
${folders.map((folder) => `ReadWritePaths=-${quoted(folder)}\n`).join('')}ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
# What the filter is meant to be is compiled in a network namespace of nobody's.
RestrictNamespaces=user net
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
MemoryMax=512M
TasksMax=256

[Install]
WantedBy=multi-user.target
`,
})

/** A word of a command line (systemd.service(5), "Command lines"). */
const quoted = (word: string): string => {
  const literal = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /[\s"'\\;]/.test(literal) ? `"${literal.replaceAll(/["\\]/g, '\\$&')}"` : literal
}
