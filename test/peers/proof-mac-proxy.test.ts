// The mac-proxy strategy in real situations, with nft on a real bridge: what it says, and the rules that it leaves there.
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {useSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'
import {startSwitch} from './proof-switch.ts'
import {
  type Change,
  DEAD_Y,
  DROP_PING,
  expectRow,
  NO_UPSTREAM_Y,
  OFF,
  type Row,
  type RunRow,
  SLIP,
} from './proof-table.ts'

const IP6 = {x: 'fe80::a', y: 'fe80::a', vm: '2001:db8:1::10'}
const ON_Y: Change = ['vm', `ip neigh replace 10.1.0.254 lladdr ${Y_MAC} dev eth0 nud reachable`]
/** Rules of somebody else, behind ours, that undo it for one protocol. */
const undone = (protocol: 'ip' | 'ip6'): Change => [
  'sw',
  `nft 'table bridge other { chain c { type filter hook forward priority 0; meta protocol ${protocol} ether daddr ${Y_MAC} ether daddr set ${X_MAC}; }; }'`,
]
const SWITCHED = {code: 'served', end: 'switched', exit: 0, uses: Y_MAC}
const DEAD = {code: 'target-dead', end: 'not-begun', exit: 3, uses: X_MAC}

const ROWS: Readonly<Record<string, Row>> = {
  'nothing in the way': SWITCHED,
  'there already': {changes: [ON_Y], code: 'already', end: 'already', exit: 0, uses: Y_MAC},
  'the target is unplugged': {changes: [DEAD_Y], ...DEAD},
  'the target has no upstream': {changes: [NO_UPSTREAM_Y], ...DEAD},
  "a slip in the target's MAC": {inventory: SLIP, ...DEAD},
  'the VM is off': {changes: [OFF], code: 'silent', end: 'not-begun', exit: 5, served: false},
  'the VM keeps a permanent entry': {
    changes: [['vm', `ip neigh replace 10.1.0.254 lladdr ${X_MAC} dev eth0 nud permanent`]],
    ...SWITCHED,
  },
  'both families': {ip6: true, ...SWITCHED},
  'IPv6 left behind by rules of somebody else': {
    ip6: true,
    changes: [undone('ip6')],
    evidence: /^db-03 leaves over IPv6 through bx/,
    ...{code: 'partial', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'only IPv6 is to be moved': {
    ip6: true,
    changes: [ON_Y],
    ...SWITCHED,
  },
  'rules of somebody else undo it': {
    changes: [undone('ip')],
    ...{code: 'elsewhere', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'the VM drops ICMP and says nothing': {
    changes: [DROP_PING],
    ...{code: 'unverified', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'the VM drops ICMP and talks': {changes: [DROP_PING], talks: true, ...SWITCHED},
  'the target dies once the bridge redirects': {
    middle: (at) => at.run(...DEAD_Y),
    ...{code: 'target-dead', end: 'rolled-back', exit: 3, uses: X_MAC},
  },
  'both gateways die once the bridge redirects: it stays as it is': {
    middle: (at) => at.run('sw', 'ip link set p-gx down; ip link set p-gy down'),
    ...{code: 'target-dead', end: 'unknown', exit: 7, served: false},
  },
  'Ctrl-C once the bridge redirects': {
    middle: (_at, child) => child.kill('SIGINT'),
    ...{code: null, end: 'rolled-back', exit: 130, uses: X_MAC},
  },
}

describe.skipIf(noNamespaces)('the mac-proxy strategy', () => {
  const lab = useSegmentLab({ip6: IP6})
  const folder = mkdtempSync(join(tmpdir(), 'gwswitch-nft-'))
  afterAll(() => rmSync(folder, {recursive: true, force: true}))
  const file = (name: string): string => join(folder, name)

  /** An nft in front of the real one, that waits when it has loaded a redirection. */
  const gatedNft = async (): Promise<{PATH: string}> => {
    const real = (await runCommand('sh', ['-c', 'command -v nft'])).trim()
    writeFileSync(
      file('nft'),
      `#!/bin/sh
[ "$1" = -f ] || exec ${real} "$@"
rules=$(cat); printf '%s\\n' "$rules" | ${real} "$@" || exit
case $rules in *'daddr set'*) : >${file('loaded')}; until [ -e ${file('go')} ]; do sleep 0.02; done;; esac
`,
      {mode: 0o755},
    )
    return {PATH: `${folder}:${process.env.PATH}`}
  }

  const run: RunRow = async (at, how, middle) => {
    for (const name of ['loaded', 'go']) rmSync(file(name), {force: true})
    const switching = startSwitch(at, {...how, strategy: 'mac-proxy', ...(middle && {env: await gatedNft()})})
    if (middle !== undefined) {
      await until(async () => existsSync(file('loaded')), 30_000, 'the bridge redirects')
      await middle(at, switching.child)
      writeFileSync(file('go'), '')
    }
    return switching.ended
  }

  it.each(Object.entries(ROWS))('%s', async (_name, row) => {
    await expectRow(lab(), row, run)
    const proxied = (await lab().run('sw', 'nft list tables')).includes('gwswitch_proxy')
    expect(proxied).toBe(!['already', 'not-begun', 'rolled-back'].includes(row.end))
  })
})
