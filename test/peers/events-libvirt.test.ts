// Two hypervisors of libvirt, and what their events are read as where something dies. Migrations that go well, with a guest
// that runs, are read in test/e2e/hook-libvirt.test.ts.
import {randomUUID} from 'node:crypto'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, describe, expect, it} from 'vitest'
import {tryCommand} from '../../src/net/process/command.ts'
import {openEvents} from '../../src/services/site/event-source.ts'
import {startLibvirt, type TestLibvirt} from '../support/libvirt.ts'
import {hasProgram, noNamespaces, type PairEnd, withPair} from '../support/namespaces.ts'
import {eventually} from '../support/until.ts'

const installed =
  (await hasProgram('libvirtd')) && (await hasProgram('virsh')) && (await hasProgram('qemu-system-x86_64'))
const missing = noNamespaces ?? (installed ? undefined : 'libvirtd, virsh and QEMU are not installed')
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-events-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

const DOMAIN_UUID = randomUUID()
/** A domain that boots nothing: its firmware looks for a disk for ever. */
const DOMAIN = `<domain type='qemu'>
  <name>web-07</name><uuid>${DOMAIN_UUID}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><memballoon model='none'/></devices>
</domain>
`
/** Slower than any memory: a migration then lasts until something ends it. */
const CRAWL_MIB_S = '1'

interface Host extends TestLibvirt {
  readonly heard: string[]
  readonly said: string[]
}

async function withHosts(fn: (x: Host, y: Host, to: (end: 'x' | 'y') => readonly string[]) => Promise<void>) {
  await withPair(async (a, b) => {
    const hosts: Host[] = []
    await using open = new AsyncDisposableStack()
    for (const [i, end] of [a, b].entries()) hosts.push(await host(end, i, open))
    const [x, y] = hosts as [Host, Host]
    await x.virsh('create', join(scratch, 'web-07.xml'))
    const to = (end: 'x' | 'y') => [...(end === 'x' ? [x.uri] : [y.uri]), `tcp:${(end === 'x' ? a : b).ip}`]
    await fn(x, y, to)
    for (const each of hosts) await each.virsh('destroy', 'web-07').catch(() => {})
  })
}

async function host(end: PairEnd, i: number, open: AsyncDisposableStack): Promise<Host> {
  writeFileSync(join(scratch, 'web-07.xml'), DOMAIN)
  const libvirt = await startLibvirt(end.namespace, mkdtempSync(join(scratch, 'host-')), uuid(i))
  open.defer(() => libvirt.stop())
  const heard: string[] = []
  const said: string[] = []
  const stage = {nowMs: Date.now, sleep: (ms: number) => delay(ms / 20), log: (line: string) => void said.push(line)}
  open.use(
    openEvents({kind: 'libvirt', where: libvirt.uri}, stage, ({kind, vm, atMs}) => {
      expect(Math.abs(Date.now() - atMs!)).toBeLessThan(20_000)
      heard.push(`${vm} ${kind}`)
    }),
  )
  await eventually(async () => expect((await programs(libvirt.uri)).length).toBe(1))
  return {...libvirt, heard, said}
}

const uuid = (i: number): string => `11111111-2222-4333-8444-55555555555${i}`

/** The virsh that listens at that connection. */
async function programs(uri: string): Promise<string[]> {
  const {stdout} = await tryCommand('pgrep', ['-f', `^virsh -c ${uri.replace(/[?+]/g, '\\$&')} event`])
  return stdout.split('\n').filter((pid) => pid !== '')
}

describe.skipIf(missing !== undefined)(`events of libvirt${missing ? ` (${missing})` : ''}`, () => {
  it('tell a migration whose destination died at the last moment: the source goes on', {timeout: 120_000}, async () => {
    await withHosts(async (x, y, to) => {
      await x.virsh('migrate-setspeed', 'web-07', CRAWL_MIB_S)
      const moving = x.virsh('migrate', '--live', 'web-07', ...to('y')).catch(() => 'failed')
      let incoming = 0
      await eventually(async () => {
        incoming = Number((await tryCommand('pgrep', ['-f', `uuid ${DOMAIN_UUID}.*-incoming`])).stdout)
        expect(incoming).toBeGreaterThan(0)
        expect(await x.virsh('domjobinfo', 'web-07')).toMatch(/Memory processed/)
      })
      // All is sent, and it stands still at the source; nobody takes it up.
      process.kill(incoming, 'SIGSTOP')
      await eventually(async () =>
        expect(await x.virsh('domstate', 'web-07', '--reason')).toMatch(/paused \(migrating/),
      )
      process.kill(incoming, 'SIGKILL')
      expect(await moving).toBe('failed')
      await eventually(async () => expect([x.heard, y.heard]).toEqual([['web-07 cancelled'], ['web-07 cancelled']]))
      expect((await x.virsh('domstate', 'web-07')).trim()).toBe('running')
    })
  })

  it('come again after libvirtd was away, and no virsh is left in the end', {timeout: 120_000}, async () => {
    await withPair(async (a) => {
      const open = new AsyncDisposableStack()
      const x = await host(a, 0, open)
      const [before] = await programs(x.uri)
      process.kill(Number(before), 'SIGKILL')
      await eventually(async () => expect(await programs(x.uri)).not.toEqual([before]))
      await eventually(async () => expect(await programs(x.uri)).toHaveLength(1))
      expect(x.said).toEqual(['no events of libvirt: virsh ended: by SIGKILL; tried again in 1 s'])
      await open.disposeAsync()
      expect(await programs(x.uri)).toEqual([])
    })
  })
})
