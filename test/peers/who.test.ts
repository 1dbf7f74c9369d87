// `gwswitch who` on a real bridge with two real hosts as VMs, one behind each port.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {afterAll, describe, expect, it} from 'vitest'
import type {WhoWatchLine} from '../../src/domain/who-watch.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {BROADCAST, ZERO_MAC} from '../../src/wire/address.ts'
import {ARP_REQUEST} from '../../src/wire/arp.ts'
import {arpFrame} from '../../src/wire/frames.ts'
import {type BridgeHost, type TestBridge, withBridge} from '../support/bridge.ts'
import {gwswitch} from '../support/cli.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {withTerminal} from '../support/terminal.ts'
import {until} from '../support/until.ts'

const BX = '02:00:00:00:0a:02'
const BY = '02:00:00:00:0b:02'
const STRANGER = '02:00:00:00:0e:0e'
const bin = join(import.meta.dirname, '../../bin/run.js')
const directory = mkdtempSync(join(tmpdir(), 'gwswitch-who-'))
afterAll(() => rmSync(directory, {recursive: true}))
const file = join(directory, 'gwswitch.yaml')
writeFileSync(
  file,
  `
version: 1
sites: {x: {}, y: {}}
segments:
  shared:
    prefix: 10.1.0.0/24
    gateways:
      - { name: bx, site: x, ip: 10.1.0.254, mac: "${BX}", ip6: ["fe80::1"] }
      - { name: by, site: y, ip: 10.1.0.254, mac: "${BY}", ip6: ["fe80::1"] }
  own:
    prefix: 10.0.0.0/24
    gateways:
      - { name: rx, site: x, ip: 10.0.0.1, mac: "02:00:00:00:0a:01", ip6: ["fe80::a:1"] }
      - { name: ry, site: y, ip: 10.0.0.2, mac: "02:00:00:00:0b:01", ip6: ["fe80::b:1"] }
vms:
  db-03: { segment: shared, ip: 10.1.0.10, mac: "02:00:00:00:01:10", ip6: ["2001:db8:1::10"] }
  db-04: { segment: shared, ip: 10.1.0.11, mac: "02:00:00:00:01:11" }
  web-07: { segment: own, ip: 10.0.0.10, mac: "02:00:00:00:01:10" }
  web-08: { segment: own, ip: 10.0.0.11, mac: "02:00:00:00:01:11", ip6: ["2001:db8:2::11"] }
`,
)

const VMS = {
  local: {mac: '02:00:00:00:01:10', addresses: ['10.1.0.10/24', '2001:db8:1::10/64', '10.0.0.10/24']},
  far: {mac: '02:00:00:00:01:11', addresses: ['10.1.0.11/24']},
}

/** A VM's default gateway, and the MAC that its table holds for it, whatever is on the wire. */
async function points(vm: BridgeHost, gateway: string, mac: string): Promise<void> {
  await vm.run('ip', 'route', 'replace', 'default', 'via', gateway, 'dev', 'eth0')
  await vm.run('ip', 'neigh', 'replace', gateway, 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent')
}

const who = (bridge: TestBridge, ...args: readonly string[]) =>
  gwswitch(['who', '-f', file, '--json', ...args], {namespace: bridge.namespace})
type Row = {
  vm: {name: string; ip: string}
  verdict: string
  provedBy: string | null
  entry: string | null
  code: string
  uses: {mac: string; gateways: {name: string; site: string}[]} | null
}
const row = (rows: readonly Row[], ip: string): Row => rows.find(({vm}) => vm.ip === ip)!

describe.skipIf(noNamespaces)('gwswitch who', () => {
  it('names the gateway and the site that each VM uses, over IPv4 and IPv6, and strangers', () =>
    withBridge(VMS, async (bridge) => {
      await points(bridge.local, '10.1.0.254', BY)
      await points(bridge.local, 'fe80::1', BY)
      await points(bridge.far, '10.1.0.254', BX)
      const ports = ['-i', 'loc', '-i', 'vx0', '--site', 'y']
      // The gateways themselves are not there: exit code 12 where one is used as it should be.
      const mixed = await who(bridge, 'db-03', 'db-04', ...ports, '--listen', '0')
      expect(mixed.code).toBe(12)
      expect(row(mixed.json.rows, '10.1.0.10')).toMatchObject({
        vm: {name: 'db-03', mac: expect.any(String), segment: 'shared'},
        verdict: 'as-expected',
        provedBy: 'off-segment-echo',
        uses: {mac: BY, gateways: [{name: 'by', site: 'y'}]},
      })
      expect(row(mixed.json.rows, '2001:db8:1::10')).toMatchObject({verdict: 'as-expected', uses: {mac: BY}})
      expect(row(mixed.json.rows, '10.1.0.11')).toMatchObject({
        verdict: 'other-site',
        uses: {mac: BX, gateways: [{name: 'bx', site: 'x'}]},
      })
      expect(mixed.json.strangers).toEqual([])
      // Asking moved nobody.
      expect(await bridge.far.run('ip', 'neigh', 'show', '10.1.0.254')).toContain(BX)

      // Through the bridge that they share, and with everything in order.
      await points(bridge.far, '10.1.0.254', BY)
      const right = await who(bridge, 'db-03', 'db-04', '-i', 'br0', '--site', 'y')
      expect(right.json.rows.map(({verdict}: Row) => verdict)).toEqual(['as-expected', 'as-expected', 'as-expected'])
      expect(right.code).toBe(12)

      await points(bridge.far, '10.1.0.254', STRANGER)
      const claims = setInterval(() => {
        const claim = {
          operation: ARP_REQUEST,
          senderMac: STRANGER,
          senderIp: '10.1.0.254',
          targetMac: ZERO_MAC,
          targetIp: '10.1.0.254',
        }
        bridge.far.send(arpFrame({destination: BROADCAST, source: STRANGER}, claim))
      }, 20)
      try {
        const strange = await who(bridge, 'db-04', ...ports)
        expect(row(strange.json.rows, '10.1.0.11')).toMatchObject({
          verdict: 'stranger',
          uses: {mac: STRANGER, gateways: []},
        })
        expect(strange.json.strangers).toMatchObject([{mac: STRANGER, ip: '10.1.0.254', segment: 'shared'}])
        expect(strange.code).toBe(11)
      } finally {
        clearInterval(claims)
      }

      // One that says nothing until it is asked, and a VM that answers at once: still found.
      await points(bridge.far, '10.1.0.254', BY)
      await bridge.local.run('ip', 'address', 'add', '10.1.0.254/32', 'dev', 'eth0')
      const quiet = await who(bridge, 'db-04', ...ports)
      expect(quiet.json.rows.map(({verdict}: Row) => verdict)).toEqual(['as-expected'])
      expect(quiet.json.strangers).toMatchObject([{mac: VMS.local.mac, ip: '10.1.0.254', segment: 'shared'}])
      expect(quiet.code).toBe(12)
    }))

  it('tells where traffic goes from what the neighbour entry for the shared address says', () =>
    withBridge(VMS, async (bridge) => {
      const ports = ['-i', 'loc', '--site', 'y', '--listen', '0', '--timeout', '300']
      // Its entry is right, and its packets leave by a router's own address at the other site.
      await points(bridge.local, '10.1.0.254', BY)
      await points(bridge.local, '10.1.0.252', BX)
      const elsewhere = await who(bridge, 'db-03', ...ports)
      expect(row(elsewhere.json.rows, '10.1.0.10')).toMatchObject({
        ...{verdict: 'other-site', provedBy: 'off-segment-echo', entry: BY, code: 'elsewhere'},
        uses: {mac: BX},
      })
      expect(elsewhere.code).toBe(10)

      // No way out at all: what is left is the entry.
      await bridge.local.run('ip', 'route', 'del', 'default')
      const entry = await who(bridge, 'db-03', ...ports)
      expect(row(entry.json.rows, '10.1.0.10')).toMatchObject({
        ...{verdict: 'as-expected', provedBy: 'echo', entry: BY, uses: {mac: BY}},
      })

      // Over IPv6, where the gateways have link-local addresses of their own.
      await points(bridge.far, 'fe80::a:1', '02:00:00:00:0a:01')
      await bridge.far.run('ip', 'address', 'add', '2001:db8:2::11/64', 'dev', 'eth0', 'nodad')
      const six = await who(bridge, 'web-08', '-i', 'vx0', ...ports.slice(2))
      expect(row(six.json.rows, '2001:db8:2::11')).toMatchObject({
        ...{verdict: 'other-site', provedBy: 'off-segment-echo', entry: null},
        uses: {gateways: [{name: 'rx', site: 'x'}]},
      })
    }))

  it('leaves out segments that are not at its ports, and asks for one that is named', () =>
    withBridge(VMS, async (bridge) => {
      await points(bridge.far, '10.1.0.254', BY)
      const quick = ['-i', 'vx0', '--site', 'y', '--listen', '0', '--timeout', '300']
      const all = await who(bridge, ...quick)
      expect(all.json.rows.map(({vm, verdict}: Row) => [vm.ip, verdict])).toEqual([
        ['10.1.0.10', 'silent'],
        ['2001:db8:1::10', 'silent'],
        ['10.1.0.11', 'as-expected'],
      ])
      expect(all.json.absent).toEqual([
        {segment: 'own', vms: 2, text: 'neither a VM nor a gateway of it was heard at vx0'},
      ])
      const named = await who(bridge, '--segment', 'own', ...quick)
      expect(named.json.rows.map(({vm, verdict}: Row) => [vm.name, verdict])).toEqual([
        ['web-07', 'silent'],
        ['web-08', 'silent'],
        ['web-08', 'silent'],
      ])
      expect(named.json.absent).toEqual([])
      expect(named.code).toBe(11)
      const unknown = await who(bridge, '--segment', 'onw', ...quick)
      expect(unknown.code).toBe(2)
      expect(unknown.json.error.message).toContain('no segment "onw"')
    }))

  it('watches: a line for every look, with what changed in it', () =>
    withBridge(VMS, async (bridge) => {
      await points(bridge.local, '10.1.0.254', BX)
      const argv = ['who', 'db-03', '-i', 'loc', '--site', 'y', '--watch', '--every', '0.2', '--json', '-f', file]
      const [program = '', ...args] = namespaceCommand(bridge.namespace, [process.execPath, bin, ...argv])
      const child = spawn(program, args, {stdio: ['ignore', 'pipe', 'inherit']})
      const lines: WhoWatchLine[] = []
      createInterface({input: child.stdout}).on('line', (line) => lines.push(JSON.parse(line)))
      const changed = (from: string, to: string): boolean =>
        lines.some(({changes}) => changes.some((each) => each.what === 'uses' && each.from === from && each.to === to))
      try {
        await until(async () => lines.length > 0, 20_000, 'the first look')
        await points(bridge.local, '10.1.0.254', BY)
        await until(async () => changed('bx', 'by'), 20_000, 'the move is a change')
        // A port that goes down ends no watch.
        await bridge.run(['ip', 'link', 'set', 'loc', 'down'])
        await until(async () => lines.at(-1)?.failure !== null, 20_000, 'the failure has a line')
        await bridge.run(['ip', 'link', 'set', 'loc', 'up'])
        await points(bridge.local, '10.1.0.254', BX)
        await until(async () => changed('by', 'bx'), 20_000, 'the way back is a change')
      } finally {
        child.kill('SIGINT')
        const [code] = await once(child, 'exit')
        expect(code).toBe(10)
      }
      expect(lines[0]).toMatchObject({schema: 'gwswitch.who-watch/2', changes: [], failure: null, exitCode: 10})
    }))

  it('watches on a terminal, which is left as it was', async ({skip}) => {
    if (!(await hasProgram('tmux'))) skip('tmux is not installed')
    await withBridge(VMS, async (bridge) => {
      await points(bridge.local, '10.1.0.254', BX)
      const argv = [process.execPath, bin, 'who', 'db-03', '-i', 'loc', '--site', 'y', '--watch', '--every', '0.2']
      const typed = namespaceCommand(bridge.namespace, [...argv, '-f', file]).join(' ')
      await withTerminal(`${bridge.namespace}-who`, 160, async ({type, press, shows, screen}) => {
        await type('echo what was there before')
        await type(`${typed}; echo "ended with $?"`)
        await shows(/1 ANOTHER SITE'S.*[\s\S]*look 2;/)
        expect(await screen()).not.toContain('what was there before')
        await points(bridge.local, '10.1.0.254', BY)
        await shows(/db-03 10\.1\.0\.10: uses bx → by/)
        await press('C-c')
        await shows(/ended with \d+/)
        expect(await screen()).toContain('what was there before')
        expect(await screen()).not.toContain('SHOULD USE')
      })
    })
  })

  it('asks for the default route where every site has its own address, and listens where ICMP is dropped', async ({
    skip,
  }) => {
    if (!(await hasProgram('ping'))) skip('ping(8) is not installed: iputils-ping')
    await withBridge({...VMS, local: {mac: VMS.local.mac, addresses: ['10.0.0.10/24']}}, async (bridge) => {
      await points(bridge.local, '10.0.0.1', '02:00:00:00:0a:01')
      const asked = await who(bridge, 'web-07', '-i', 'loc', '--site', 'y')
      expect(row(asked.json.rows, '10.0.0.10')).toMatchObject({
        verdict: 'other-site',
        provedBy: 'off-segment-echo',
        uses: {gateways: [{name: 'rx', site: 'x'}]},
      })
      expect(asked.code).toBe(10)

      await bridge.local.run(
        'nft',
        'table ip quiet { chain in { type filter hook input priority 0; icmp type echo-request drop; }; }',
      )
      const talking = setInterval(() => void bridge.local.run('ping', '-c1', '-W1', '203.0.113.9').catch(() => {}), 300)
      try {
        const heard = await who(bridge, 'web-07', '-i', 'loc', '--site', 'x', '--timeout', '100', '--listen', '20000')
        expect(row(heard.json.rows, '10.0.0.10')).toMatchObject({verdict: 'as-expected', provedBy: 'own-frames'})
        expect(heard.code).toBe(12)
      } finally {
        clearInterval(talking)
      }
      const silent = await who(bridge, 'db-04', 'web-07', '-i', 'loc', '--timeout', '100', '--listen', '100')
      expect(silent.json.rows.map(({verdict}: Row) => verdict)).toEqual(['silent', 'unseen'])
      expect(silent.code).toBe(11)
    })
  })
})
