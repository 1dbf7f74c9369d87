// systemd units that put the filters of this host back, and look after them: systemd.unit(5), systemd.timer(5).

export interface UnitFile {
  readonly name: string
  readonly text: string
}

/** By the same name as the service that it starts. */
const APPLY = 'gwswitch-filter.service'
const CHECK = 'gwswitch-filter-check'

/** `command`: how this gwswitch is started, absolute paths. `record`: without it there is nothing to put back. */
export function filterUnits(command: readonly string[], record: string): UnitFile[] {
  const run = (...args: readonly string[]): string => [...command, 'filter', ...args].map(quoted).join(' ')
  return [
    {
      name: APPLY,
      text: `# A restart of nftables flushes every table; with it this is started again.
[Unit]
Description=gwswitch filter: shared gateways stay local to this site
After=network-online.target nftables.service firewalld.service
Wants=network-online.target
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
ConditionPathExists=${record}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${run('apply', '--recorded')}
ExecReload=${run('apply', '--recorded')}
# The ports may come later than the network.
Restart=on-failure
RestartSec=5s

[Install]
WantedBy=multi-user.target nftables.service
`,
    },
    {
      name: `${CHECK}.service`,
      text: `[Unit]
Description=gwswitch filter: is it what is meant?
After=${APPLY}
ConditionPathExists=${record}

[Service]
Type=oneshot
ExecStart=${run('check')}
`,
    },
    {
      name: `${CHECK}.timer`,
      text: `[Unit]
Description=gwswitch filter: a check every minute

[Timer]
OnBootSec=2min
OnUnitActiveSec=1min

[Install]
WantedBy=timers.target
`,
    },
  ]
}

/** What starts at boot. */
export const ENABLED: readonly string[] = [APPLY, `${CHECK}.timer`]

/** A word of a command line (systemd.service(5), "Command lines"). */
const quoted = (word: string): string => {
  const literal = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /[\s"'\\;]/.test(literal) ? `"${literal.replaceAll(/["\\]/g, '\\$&')}"` : literal
}
