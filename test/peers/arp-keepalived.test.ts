// A real VRRP pair as the shared gateway: keepalived at both sites, each master of its own once the hellos stay local.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {startSession} from '../../src/lab/session.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {hasProgram, noNamespaces, type TestLab, withLab} from '../support/namespaces.ts'
import {arriveAndSwitch, BX, BY, FILTER_TABLE, gatewayOfVm, loadFilter, setUp, until} from './arp-lab.ts'

const noKeepalived = (await hasProgram('keepalived')) ? undefined : 'keepalived is not installed (package keepalived)'

const conf = (node: 'rx' | 'ry'): string => `
global_defs {
  router_id ${node}
  vrrp_version 3
  vrrp_garp_master_delay 1
  vrrp_garp_master_refresh 1
  vrrp_garp_master_refresh_repeat 1
}
vrrp_instance tenant_b {
  state BACKUP
  interface seg-b
  virtual_router_id 51
  priority ${node === 'rx' ? 150 : 100}
  advert_int 0.3
  virtual_ipaddress {
    10.1.0.254/32 dev seg-b
  }
}
`

/** Runs keepalived in both routers instead of the addresses that the lab gives them. */
async function withRouters<T>(lab: TestLab, fn: () => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'gwswitch-'))
  const daemons = await Promise.all(
    (['rx', 'ry'] as const).map(async (node) => {
      await lab.run(node, 'ip', 'address', 'del', '10.1.0.254/32', 'dev', 'seg-b')
      writeFileSync(join(directory, node), conf(node))
      const pids = [
        '-p',
        `${node}.pid`,
        '-r',
        `${node}-vrrp.pid`,
        '-c',
        `${node}-checkers.pid`,
        '-b',
        `${node}-bfd.pid`,
      ]
      const paths = pids.map((word, i) => (i % 2 === 0 ? word : join(directory, word)))
      const [program = '', ...args] = namespaceCommand(lab.ns(node), [
        'keepalived',
        '--vrrp',
        '-n',
        '-l',
        '-f',
        join(directory, node),
        ...paths,
      ])
      return spawn(program, args, {stdio: 'ignore'})
    }),
  )
  try {
    return await fn()
  } finally {
    for (const daemon of daemons) {
      daemon.kill('SIGTERM')
      if (daemon.exitCode === null && daemon.signalCode === null) await once(daemon, 'exit')
    }
    rmSync(directory, {recursive: true})
  }
}

const masters = async (lab: TestLab): Promise<string> => {
  const has = await Promise.all(
    ['rx', 'ry'].map(async (node) =>
      (await lab.run(node, 'ip', 'address', 'show', 'dev', 'seg-b')).includes('10.1.0.254/32') ? [node] : [],
    ),
  )
  return has.flat().join(' ')
}

describe.skipIf(noNamespaces ?? noKeepalived)('keepalived at both sites', () => {
  it('has one master without a filter, two with it; a VM switched to the second stays, with its sessions', async () => {
    await withLab({dciDelayMs: 3, wanDelayMs: 3}, async (lab) => {
      await setUp(lab, {filter: 'none', inbound: 'y'})
      await withRouters(lab, async () => {
        expect(
          await until(
            () => masters(lab),
            (names) => names === 'rx',
            15_000,
          ),
        ).toBe('rx')
        await sleep(1500)
        expect(await masters(lab)).toBe('rx')
        await loadFilter(lab)
        expect(
          await until(
            () => masters(lab),
            (names) => names === 'rx ry',
            15_000,
          ),
        ).toBe('rx ry')

        await using session = await startSession(lab.prefix, 'db-03', 'user-y')
        expect(await gatewayOfVm(lab)).toBe(BX)
        const {verdict} = await arriveAndSwitch(lab, {guardMs: 3000})
        expect(verdict.ok).toBe(true)
        // The new master announces itself again and again, and may have moved the VM before anybody asked.
        if (verdict.code === 'already') await sleep(3000)
        else expect(verdict.evidence.join('\n')).toMatch(/nothing moved it back/)
        expect(await gatewayOfVm(lab)).toBe(BY)
        const {tcp} = await session.stop()
        expect(tcp).toMatchObject({contiguous: true, reconnects: 0, echoed: tcp.sent})

        // Without the filter the old master's refresh reaches the VM, and says so.
        for (const node of ['sw-x', 'sw-y']) await lab.run(node, 'nft', 'delete', 'table', 'bridge', FILTER_TABLE)
        expect(
          await until(
            () => gatewayOfVm(lab),
            (mac) => mac === BX,
          ),
        ).toBe(BX)
      })
    })
  })
})
