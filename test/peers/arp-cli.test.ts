// The commands themselves, as an operator starts them: on a hypervisor, and beside an IPv6 host.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {gwswitch as cli} from '../support/cli.ts'
import {hasProgram, noNamespaces, withLab, withPair} from '../support/namespaces.ts'
import {BX, BY, gatewayOfVm} from './arp-lab.ts'

/** Runs gwswitch inside a namespace: its document, its exit code. */
async function gwswitch(namespace: string, ...argv: readonly string[]) {
  const {code, json, stderr} = await cli([...argv, '--json'], {namespace})
  return {code, document: json, stderr}
}

describe.skipIf(noNamespaces)('on a hypervisor', () => {
  it('switches a VM through its port and holds it; moves all VMs back and forth; refuses to serve on strange ports', async () => {
    await withLab({dciDelayMs: 2, wanDelayMs: 2}, async (lab) => {
      await (await moveVm(lab.prefix, 'db-03', 'y')).announced
      const hypervisor = lab.ns('hv')
      const inventory = ['-f', lab.inventoryFile]
      await lab.run('db-03', 'ping', '-c1', '-W2', '10.1.0.254')
      await lab.run('db-03', 'ip', 'neigh', 'replace', '10.1.0.254', 'lladdr', BX, 'dev', 'eth0', 'nud', 'reachable')

      const switched = await gwswitch(
        hypervisor,
        'switch',
        'db-03',
        '--to',
        'y',
        '--strategy',
        'arp',
        '-i',
        'db-03',
        '--guard',
        '2',
        ...inventory,
      )
      expect(switched).toMatchObject({
        code: 0,
        document: {
          ...{end: 'switched', code: 'served', verified: true, exitCode: 0, before: {name: 'bx'}, uses: {name: 'by'}},
          evidence: [
            `db-03 leaves through by (${BY})`,
            expect.stringMatching(/^by .* takes packets on: | answers db-03 through it$/),
            expect.stringMatching(/^nothing moved it back in 2\.\d s$/),
          ],
          plan: {guardMs: 2000, arrivalMs: null, filter: 'missing', interface: 'db-03'},
        },
      })
      const frames = switched.document.steps.flatMap(({events}: {events: {frame?: {kind: string; hex: string}}[]}) =>
        events.flatMap(({frame}) => frame ?? []),
      )
      expect(frames.map(({kind}: {kind: string}) => kind)).toEqual(
        expect.arrayContaining(['ask', 'echo', 'arp-reply', 'echo-reply']),
      )
      for (const {hex} of frames) expect(hex).toMatch(/^(?:[0-9a-f]{2}){42,}$/)

      const back = await gwswitch(
        hypervisor,
        'garp',
        'bx',
        '--mac',
        BX,
        '--all',
        '--force',
        '-i',
        'db-03',
        ...inventory,
      )
      expect(back).toMatchObject({
        code: 0,
        document: {schema: 'gwswitch.garp-many/2', vms: [{vm: {name: 'db-03'}, verdict: 'moved', gatewayUsed: BX}]},
      })
      expect(await gatewayOfVm(lab)).toBe(BX)

      const held = await gwswitch(
        hypervisor,
        'garp',
        'by',
        '--mac',
        BY,
        '--vm',
        'db-03',
        '-i',
        'db-03',
        '--guard',
        '1',
        ...inventory,
      )
      expect(held).toMatchObject({
        code: 0,
        document: {verdict: 'moved', guard: {holds: true, attempts: [], unlisted: 0}},
      })

      expect(await gwswitch(hypervisor, 'serve', 'arp', '--site', 'y', '-i', 'br-db-03', ...inventory)).toMatchObject({
        code: 2,
        document: {error: {message: expect.stringMatching(/br-db-03 is a bridge/)}},
      })
      expect(await gwswitch(lab.ns('ry'), 'serve', 'arp', '--site', 'y', '-i', 'seg-b', ...inventory)).toMatchObject({
        code: 2,
        document: {error: {message: expect.stringMatching(/seg-b is the gateway 10\.1\.0\.254 itself/)}},
      })
    })
  })
})

describe.skipIf(noNamespaces)('beside an IPv6 host', () => {
  it('moves its gateway by solicitation and by advertisement, and says so of one that keeps its entry; tshark agrees', async () => {
    await withPair(async (vm, wire) => {
      const directory = mkdtempSync(join(tmpdir(), 'gwswitch-'))
      const pcap = join(directory, 'garp.pcap')
      try {
        const setUp =
          'sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.router_solicitations=0 net.ipv6.conf.eth0.disable_ipv6=0'
        await vm.run('sh', '-ec', `${setUp}; ip address add 2001:db8:1::10/64 dev eth0 nodad`)
        const garp = (mac: string, ...more: string[]) =>
          gwswitch(
            wire.namespace,
            'garp',
            'fe80::1',
            '--mac',
            mac,
            '--vm-ip',
            '2001:db8:1::10',
            '--vm-mac',
            vm.mac,
            '-i',
            wire.interface,
            ...more,
          )
        const entry = async () =>
          (JSON.parse(await vm.run('ip', '-json', '-6', 'neigh', 'show', 'fe80::1')) as {lladdr: string}[])[0]?.lladdr

        expect(await garp(BY, '--pcap', pcap)).toMatchObject({
          code: 0,
          document: {verdict: 'moved', gatewayUsed: BY, gateway: {ip: 'fe80::1'}},
        })
        expect(await entry()).toBe(BY)
        expect(await garp(BX, '--form', 'reply')).toMatchObject({
          code: 0,
          document: {verdict: 'moved', gatewayUsed: BX},
        })
        expect(await entry()).toBe(BX)

        await vm.run('ip', 'neigh', 'replace', 'fe80::1', 'lladdr', BX, 'dev', 'eth0', 'nud', 'permanent')
        const kept = await garp(BY, '--count', '2', '--timeout', '100')
        expect(kept).toMatchObject({code: 4, document: {verdict: 'not-moved', gatewayUsed: BX}})
        expect(kept.document.frames.map(({kind}: {kind: string}) => kind)).toContain('nd-reply')

        if (!(await hasProgram('tshark'))) return
        const types = await runCommand('tshark', [
          '-r',
          pcap,
          '-Y',
          'icmpv6.checksum.status == 1',
          '-T',
          'fields',
          '-e',
          'icmpv6.type',
        ])
        expect(types.trim().split('\n')).toEqual(expect.arrayContaining(['135', '136', '128', '129']))
      } finally {
        rmSync(directory, {recursive: true})
      }
    })
  })
})
