// `gwswitch doctor` where something is wrong: it is found, what it says mends it is pasted, and then nothing is.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import type {DoctorFinding} from '../../src/domain/doctor/finding.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type SegmentLab, type SegmentNode, withSegmentLab} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-doctor-'))
afterAll(() => rmSync(folder, {recursive: true}))

const doctor = (lab: SegmentLab, node: SegmentNode, ...args: readonly string[]) =>
  gwswitch(['doctor', '--json', '-f', lab.inventoryFile, ...args], {namespace: lab.ns(node)})
const bad = (findings: readonly DoctorFinding[]) => findings.filter(({level}) => level !== 'fine')
const codes = (findings: readonly DoctorFinding[]): string[] => bad(findings).map(({code}) => code)

/** Pastes what mends it. */
async function mend(lab: SegmentLab, node: SegmentNode, findings: readonly DoctorFinding[]): Promise<void> {
  for (const {mend: command} of bad(findings)) if (command !== null) await lab.run(node, command)
}

const GOOD =
  'sysctl -qw net.ipv4.conf.eth0.arp_accept=1 net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.eth0.accept_redirects=0'

describe.skipIf(noNamespaces)('gwswitch doctor', () => {
  it('finds what bites on a gateway, and its own commands mend it', () =>
    withSegmentLab({}, async (lab) => {
      await lab.run('gx', GOOD)
      const clean = await doctor(lab, 'gx')
      expect(bad(clean.json.findings)).toEqual([])
      expect([clean.code, clean.json.exitCode, clean.json.schema]).toEqual([0, 0, 'gwswitch.doctor/1'])
      expect(clean.json.findings).toContainEqual(
        expect.objectContaining({code: 'leg', what: 'this host is gateway bx (site x) at eth0'}),
      )

      const set = [
        ...['ipv4.conf.all.rp_filter=1', 'ipv4.conf.eth0.arp_accept=0', 'ipv4.conf.all.arp_accept=0'],
        ...['ipv4.conf.all.accept_redirects=1', 'ipv4.conf.eth0.accept_redirects=1', 'ipv4.neigh.eth0.locktime=900'],
      ]
      await lab.run('gx', `sysctl -qw ${set.map((each) => `net.${each}`).join(' ')}`)
      const wrong = await doctor(lab, 'gx')
      expect(wrong.code).toBe(10)
      expect(codes(wrong.json.findings).sort()).toEqual(['accept-redirects', 'arp-accept', 'locktime', 'rp-filter'])
      await mend(lab, 'gx', wrong.json.findings)
      expect(codes((await doctor(lab, 'gx')).json.findings)).toEqual([])

      // What cannot work at all.
      await lab.run('gx', 'sysctl -qw net.ipv4.conf.eth0.forwarding=0 net.ipv4.conf.eth0.arp_ignore=8')
      const broken = await doctor(lab, 'gx')
      expect(broken.code).toBe(12)
      expect(codes(broken.json.findings).sort()).toEqual(['arp-ignore', 'not-forwarding'])
      await mend(lab, 'gx', broken.json.findings)
      expect((await doctor(lab, 'gx')).code).toBe(0)
    }))

  it('finds on a bridge what its forwarding meets, and ports of the inventory that are down or on no bridge', () =>
    withSegmentLab({segmentKeys: '    ports: [p-gx]'}, async (lab) => {
      await lab.run('sw', 'sysctl -qw net.bridge.bridge-nf-call-iptables=1')
      await lab.run('sw', 'ip link set p-gx nomaster')
      const wrong = await doctor(lab, 'sw')
      expect(codes(wrong.json.findings).sort()).toEqual(['bridge-nf', 'port'])
      expect(wrong.code).toBe(12)
      await mend(lab, 'sw', wrong.json.findings)
      await lab.run('sw', 'ip link set p-gx down')
      const down = await doctor(lab, 'sw')
      expect(bad(down.json.findings)).toMatchObject([{code: 'port', mend: 'ip link set p-gx up'}])
      await mend(lab, 'sw', down.json.findings)
      const clean = await doctor(lab, 'sw')
      expect(bad(clean.json.findings)).toEqual([])
      expect(clean.json.strategies).toMatchObject([
        {strategy: 'arp', here: 'yes', where: null},
        {strategy: 'agent', here: 'no'},
        {strategy: 'dhcp', here: 'no'},
        {strategy: 'mac-proxy', here: 'yes', why: 'VMs with a port on br0'},
      ])
    }))

  it('asks the network with --network alone', () =>
    withSegmentLab({}, async (lab) => {
      const sent = async (): Promise<number> =>
        Number(JSON.parse(await lab.run('sw', 'ip -j -s link show br0'))[0].stats64.tx.packets)
      await lab.run('sw', 'sysctl -qw net.bridge.bridge-nf-call-iptables=0')
      // The kernel itself reports its groups when a bridge comes up.
      let before = await sent()
      const isQuiet = async (): Promise<boolean> => {
        const last = before
        await lab.run('sw', 'sleep 1.2')
        before = await sent()
        return before === last
      }
      await until(isQuiet, 20_000, 'the kernel says no more by itself')
      expect((await doctor(lab, 'sw')).code).toBe(0)
      expect(await sent()).toBe(before)
      const asked = await doctor(lab, 'sw', '--network', '-i', 'br0', '--site', 'y')
      expect(await sent()).toBeGreaterThan(before)
      expect(bad(asked.json.findings)).toEqual([])
      // Another MAC has the gateway's address at site X.
      await lab.run('gx', 'ip link set eth0 down; ip link set eth0 address 02:00:00:00:0c:02; ip link set eth0 up')
      const moved = await doctor(lab, 'sw', '--network', '-i', 'br0', '--site', 'y')
      expect(bad(moved.json.findings).map(({level, what}) => `${level}: ${what}`)).toEqual([
        'broken: gateway bx: 02:00:00:00:0c:02 answers for 10.1.0.254, and 02:00:00:00:0a:02 of the inventory does not',
        'wrong: gateway by: 02:00:00:00:0c:02 answers for 10.1.0.254 too',
      ])
      expect(moved.code).toBe(12)
    }))

  it('says which capability is missing, and that there is no inventory, with the command that makes one', () =>
    withSegmentLab({}, async (lab) => {
      const named = await gwswitch(['doctor', '--json', '-f', join(folder, 'none.yaml')], {namespace: lab.ns('sw')})
      expect(codes(named.json.findings)).toContain('inventory')
      writeFileSync(join(folder, 'wrong.yaml'), 'version: 1\nsites: {x: {prefix: 1}}\n')
      const wrong = await gwswitch(['doctor', '-f', join(folder, 'wrong.yaml')], {namespace: lab.ns('sw')})
      expect(wrong.stdout).toMatch(/✗ BROKEN +\S+wrong\.yaml:2/)
      expect(wrong.code).toBe(12)
      const less = await gwswitch(['doctor', '--json', '-f', lab.inventoryFile], {
        namespace: lab.ns('sw'),
        under: ['setpriv', '--bounding-set', '-net_raw', '--inh-caps', '-net_raw'],
      })
      expect(less.json.findings).toContainEqual(
        expect.objectContaining({code: 'no-capability', level: 'broken', what: 'CAP_NET_RAW is not held'}),
      )
      expect(less.code).toBe(12)
    }))
})
