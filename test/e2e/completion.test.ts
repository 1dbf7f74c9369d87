// The scripts of packaging/completions/ in the shells that they are for, with the program as it is installed.
import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {hasProgram, noNamespaces, withPrefix} from '../support/namespaces.ts'
import {type Terminal, withTerminal} from '../support/terminal.ts'
import {until} from '../support/until.ts'

const root = join(import.meta.dirname, '../..')
const scripts = join(root, 'packaging/completions')
const folder = mkdtempSync(join(tmpdir(), 'gwswitch-completion-'))
afterAll(() => rmSync(folder, {recursive: true}))
writeFileSync(join(folder, 'gwswitch'), `#!/bin/sh\nexec ${process.execPath} ${join(root, 'bin/run.js')} "$@"\n`)
chmodSync(join(folder, 'gwswitch'), 0o755)
writeFileSync(join(folder, 'a file.pcap'), '')
writeFileSync(
  join(folder, 'gwswitch.yaml'),
  `
version: 1
sites: {x: {}, yonder: {}}
segments:
  tenant-b:
    prefix: 10.1.0.0/24
    gateways:
      - { name: bx, site: x, ip: 10.1.0.254, mac: "02:00:00:00:0a:02" }
      - { name: gw-y, site: yonder, ip: 10.1.0.254, mac: "02:00:00:00:0b:02" }
vms:
  db-03: { segment: tenant-b, ip: 10.1.0.10, mac: "02:00:00:00:01:10" }
  web-07: { segment: tenant-b, ip: 10.1.0.11, mac: "02:00:00:00:01:11" }
`,
)

/** A host whose interfaces are `vnet0` and, as the kernel allows it, `q"u`. */
const withHost = (fn: (namespace: string) => Promise<void>): Promise<void> =>
  withPrefix(
    (prefix) => runCommand('ip', ['netns', 'del', `${prefix}-host`]).then(() => {}),
    async (prefix) => {
      const namespace = `${prefix}-host`
      await runCommand('ip', ['netns', 'add', namespace])
      await runCommand('ip', ['-n', namespace, 'link', 'add', 'vnet0', 'type', 'veth', 'peer', 'name', 'q"u'])
      await fn(namespace)
    },
  )

interface Shell {
  readonly program: string
  readonly begin: string
  /** What the line is after a Tab, where there is one way to go on. */
  readonly completes: readonly (readonly [typed: string, line: string])[]
}

const COMMON = [
  ['gwswitch sw', 'gwswitch switch '],
  ['gwswitch mac', 'gwswitch mac-proxy '],
  ['gwswitch mac-proxy rel', 'gwswitch mac-proxy release '],
  ['gwswitch switch d', 'gwswitch switch db-03 '],
  ['gwswitch switch db-03 --to g', 'gwswitch switch db-03 --to gw-y '],
  ['gwswitch switch db-03 --to=g', 'gwswitch switch db-03 --to=gw-y '],
  ['gwswitch switch db-03 --to yon', 'gwswitch switch db-03 --to yonder '],
  ['gwswitch switch --strategy mac', 'gwswitch switch --strategy mac-proxy '],
  ['gwswitch switch --strategy arp w', 'gwswitch switch --strategy arp web-07 '],
  ['gwswitch who --seg', 'gwswitch who --segment '],
  ['gwswitch who --segment t', 'gwswitch who --segment tenant-b '],
  ['gwswitch switch -i v', 'gwswitch switch -i vnet0 '],
  ['gwswitch switch -i q', 'gwswitch switch -i q\\"u '],
  ['gwswitch switch --pcap a', 'gwswitch switch --pcap a\\ file.pcap '],
] as const

const SHELLS: readonly Shell[] = [
  {
    program: 'bash --norc --noprofile -i',
    begin: `source ${scripts}/gwswitch.bash; bind 'set show-all-if-ambiguous on'; PS1='> '`,
    completes: [
      ...COMMON,
      ['gwswitch switch "d', 'gwswitch switch "db-03" '],
      ["gwswitch switch -i 'q", `gwswitch switch -i 'q"u' `],
    ],
  },
  {
    program: 'zsh -f -i',
    begin: `fpath+=(${scripts}); autoload -U compinit; compinit -u -D; setopt no_beep; PS1='> '`,
    completes: [...COMMON, ['gwswitch switch "d', 'gwswitch switch "db-03" ']],
  },
]

/** The last line that the prompt stands before; without the blanks at its end, which tmux does not show. */
const lineOf = (screen: string): string | undefined =>
  screen
    .split('\n')
    .findLast((line) => line.startsWith('> '))
    ?.slice(2)

/** Tried again: a key that comes while a list is made is lost. */
const emptyLine = ({press, screen}: Terminal): Promise<void> =>
  until(
    async () => {
      await press('C-c')
      await press('C-l')
      return /^> ?\n*$/.test(await screen())
    },
    20_000,
    'an empty line',
  )

/** A shell in the host, with the scripts loaded. */
const inShell = (name: string, {program, begin}: Shell, fn: (terminal: Terminal) => Promise<void>): Promise<void> =>
  withHost((namespace) =>
    withTerminal(`completion-${name}-${process.pid}`, 90, async (terminal) => {
      const host = namespaceCommand(namespace, ['env', `PATH=${folder}:${process.env.PATH}`, ...program.split(' ')])
      await terminal.type(`cd '${folder}' && ${host.join(' ')}`)
      await terminal.type(begin)
      await terminal.shows(/^> $|^>$/m)
      await fn(terminal)
    }),
  )

const wanted = ['tmux', 'bash', 'zsh', 'fish']
const there = await Promise.all(wanted.map(hasProgram))
const missing = (name: string): boolean =>
  noNamespaces !== undefined || !['tmux', name].every((each) => there[wanted.indexOf(each)])

describe.each(SHELLS.map((shell) => [shell.program.split(' ')[0]!, shell] as const))(
  'completion in %s',
  (name, shell) => {
    it.skipIf(missing(name))('goes on where there is one way, and leaves values whole', () =>
      inShell(name, shell, async (terminal) => {
        for (const [typed, line] of shell.completes) {
          await emptyLine(terminal)
          await terminal.press(typed)
          await terminal.press('Tab')
          await expect.poll(async () => lineOf(await terminal.screen()), {timeout: 10_000}).toBe(line.trimEnd())
        }
      }),
    )

    it.skipIf(missing(name))('shows what there is where there are several ways', () =>
      inShell(name, shell, async (terminal) => {
        for (const [typed, ...shown] of [
          ['gwswitch ', 'serve', 'switch', 'trace'],
          ['gwswitch switch ', 'db-03', 'web-07'],
          ['gwswitch switch db-03 --to ', 'bx', 'gw-y', 'yonder'],
          ['gwswitch switch -i ', 'vnet0', 'q'],
        ] as const) {
          await emptyLine(terminal)
          await terminal.press(typed)
          await terminal.press('Tab')
          for (const word of shown) await terminal.shows(new RegExp(`(?:^|\\s)${word}`, 'm'))
        }
      }),
    )
  },
)

describe('completion in fish', () => {
  it.skipIf(missing('fish')).each([
    ['gwswitch sw', ['switch']],
    ['gwswitch switch ', ['db-03', 'web-07']],
    ['gwswitch switch db-03 --to ', ['bx', 'gw-y', 'x', 'yonder']],
    ['gwswitch switch db-03 --to=g', ['--to=gw-y']],
    ['gwswitch switch -i ', ['q"u', 'vnet0']],
    ['gwswitch switch --strategy ', ['agent', 'arp', 'dhcp', 'mac-proxy']],
    ['gwswitch switch "d', ['db-03']],
    ['gwswitch switch --pcap a', ['a file.pcap']],
    ['gwswitch switch --dry', ['--dry-run']],
  ])('offers after "%s": %j', (line, offers) =>
    withHost(async (namespace) => {
      const program = `cd ${folder}; source ${scripts}/gwswitch.fish; complete -C ${JSON.stringify(line).replaceAll(
        "'",
        "\\'",
      )}`
      const [command, ...args] = namespaceCommand(namespace, [
        ...['env', `PATH=${folder}:${process.env.PATH}`, `HOME=${folder}`, 'fish', '--no-config', '-c', program],
      ])
      const lines = (await runCommand(command!, args)).split('\n').filter(Boolean)
      expect(lines.map((each) => each.split('\t')[0]).toSorted()).toEqual(offers)
    }),
  )
})
