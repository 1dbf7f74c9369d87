// The units under a real systemd, as "Set it up" in docs/agent.md has them started.
import {copyFileSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import type {AgentMemory} from '../../src/domain/agent/memory.ts'
import {CAP_NET_ADMIN, CAP_NET_RAW} from '../../src/net/process/confine.ts'
import {privateKeyText, publicKeyText} from '../../src/wire/agent-message.ts'
import {FAR4, NEW4, OLD4, type Site, VM_MAC, VM4, withSite} from '../services/agent/site.ts'
import {noSystemd, type SystemdMachine, withSystemd} from '../support/systemd-machine.ts'
import {until} from '../support/until.ts'

const UNIT = 'gwswitch-agent'
const HELD = [CAP_NET_ADMIN, CAP_NET_RAW].map((bit) => 1n << BigInt(bit)).reduce((a, b) => a | b)

/** As the docs say; the key that the site believes is there already, and stays. */
async function setUp(machine: SystemdMachine, site: Site): Promise<void> {
  await machine.run('mkdir', '-p', '/etc/gwswitch')
  copyFileSync(join(site.directory, 'agent.key'), machine.path('/etc/gwswitch/agent.key'))
  await machine.run('chmod', '600', '/etc/gwswitch/agent.key')
  await machine.gwswitch('agent', 'install', '--vm', 'web-07')
  const trusts = ['--kid', 'site-y', '--gateway', OLD4, '--gateway', NEW4, '--probe', FAR4]
  await machine.gwswitch('agent', 'enroll', ...trusts, '--key', publicKeyText(site.keys.site))
  await machine.run('systemctl', 'daemon-reload')
  await machine.run('systemctl', 'enable', '--now', UNIT)
  await listening(machine)
}

const listening = (machine: SystemdMachine, times = 1) =>
  until(async () => (await machine.journal(UNIT)).split('listens on').length > times, 30_000, 'the agent listens')

const memory = (machine: SystemdMachine): AgentMemory =>
  JSON.parse(readFileSync(machine.path('/var/lib/private/gwswitch/agent-state.json'), 'utf8')) as AgentMemory

const pending = (site: Site, seconds: number) =>
  site.ask({gw4: NEW4, confirm_s: seconds}, ({state}) => state === 'applied')

const confirmed = async (site: Site, run: string): Promise<void> => {
  expect(await site.ask({op: 'confirm', run})).toMatchObject({state: 'confirmed', gw4: NEW4})
  expect(await site.ask({gw4: OLD4})).toMatchObject({state: 'confirmed', gw4: OLD4})
}

describe.skipIf(noSystemd)('the units, under systemd', () => {
  it('start, reload, restart and stop an agent, and a switch that waits outlives all of it', {
    timeout: 120_000,
  }, async () => {
    await withSite({}, async (site) => {
      await withSystemd(site.ns('vm'), async (machine) => {
        await setUp(machine, site)
        const pid = await machine.property(UNIT, 'MainPID')
        const status = readFileSync(machine.path(`/proc/${pid}/status`), 'utf8')
        expect(status).not.toMatch(/^Uid:\s*0\b/m)
        for (const set of ['CapPrm', 'CapBnd'])
          expect(BigInt(`0x${new RegExp(`^${set}:\\s*(\\w+)$`, 'm').exec(status)![1]}`)).toBe(HELD)
        expect(await machine.gwswitch('agent', 'status')).toMatch(/^web-07: agent runs; key/)

        const reloaded = await pending(site, 60)
        await machine.run('systemctl', 'reload', UNIT)
        await listening(machine, 2)
        expect(await machine.property(UNIT, 'MainPID')).toBe(pid)
        await confirmed(site, reloaded.run)

        const restarted = await pending(site, 60)
        await machine.run('systemctl', 'restart', UNIT)
        await listening(machine, 3)
        expect(await machine.property(UNIT, 'MainPID')).not.toBe(pid)
        expect(await site.gateway()).toBe(NEW4)
        await confirmed(site, restarted.run)

        const killed = await pending(site, 60)
        await machine.run('systemctl', 'kill', '-s', 'KILL', UNIT)
        await listening(machine, 4)
        expect(await machine.property(UNIT, 'NRestarts')).toBe('1')
        await confirmed(site, killed.run)

        const stopped = await pending(site, 8)
        await machine.run('systemctl', 'stop', UNIT)
        expect(await machine.property(UNIT, 'ActiveState')).toBe('inactive')
        expect(await site.gateway()).toBe(NEW4)
        await until(async () => (await site.gateway()) === OLD4, 20_000, 'it goes back though no agent runs')
        await until(async () => memory(machine).last?.phase === 'done', 10_000, 'it is written down')
        expect(memory(machine).last).toMatchObject({
          ...{run: stopped.run, state: 'rolled_back', reason: 'not_confirmed'},
        })
        await machine.run('systemctl', 'start', UNIT)
        await listening(machine, 5)
        expect(await site.ask({gw4: NEW4, mode: 'drain'})).toMatchObject({state: 'confirmed', gw4: NEW4})
      })
    })
  })

  it('serve a site', {timeout: 60_000}, async () => {
    await withSite({}, async (site) => {
      await withSystemd(site.ns('vm'), async (machine) => {
        await machine.run('mkdir', '-p', '/etc/gwswitch')
        writeFileSync(machine.path('/etc/gwswitch/site-y.key'), privateKeyText(site.keys.site), {mode: 0o600})
        writeFileSync(machine.path('/etc/gwswitch/gwswitch.yaml'), inventory(), {mode: 0o644})
        const packaged = readFileSync(join(import.meta.dirname, '../../packaging/gwswitch-site.service'), 'utf8')
        const unit = packaged
          .replace('/usr/bin/gwswitch ', '/opt/node /opt/gwswitch/bin/run.js ')
          .replace(' eth1 ', ' eth0 ')
        writeFileSync(machine.path('/etc/systemd/system/gwswitch-site.service'), unit)
        await machine.run('systemctl', 'daemon-reload')
        await machine.run('systemctl', 'start', 'gwswitch-site')
        const journal = () => machine.journal('gwswitch-site')
        await until(async () => (await journal()).includes('listening for notes'), 30_000, 'it serves')
        await machine.run('systemctl', 'reload', 'gwswitch-site')
        await until(async () => (await journal()).includes('configuration read again'), 30_000, 'it reads it again')
        await machine.run('systemctl', 'stop', 'gwswitch-site')
        expect(await machine.property('gwswitch-site', 'Result')).toBe('success')
        expect(await journal()).toMatch(/\d+ beacons, 0 notes/)
      })
    })
  })

  it('have nothing that systemd does not know, and leave little open', {timeout: 60_000}, async () => {
    await withSite({}, async (site) => {
      await withSystemd(site.ns('vm'), async (machine) => {
        for (const name of ['gwswitch-agent', 'gwswitch-site']) {
          const file = `/etc/systemd/system/${name}.service`
          const text = readFileSync(join(import.meta.dirname, `../../packaging/${name}.service`), 'utf8')
          writeFileSync(machine.path(file), text.replace('/usr/bin/gwswitch ', '/opt/node '))
          expect(await machine.try('systemd-analyze', 'verify', file)).toMatchObject({code: 0, stdout: '', stderr: ''})
          const {stdout} = await machine.try('systemd-analyze', 'security', '--offline=yes', file)
          expect(Number(/exposure level for \S+ ([\d.]+)/.exec(stdout)?.[1]), stdout).toBeLessThan(2.5)
        }
      })
    })
  })
})

/** The site lab's segment, with the VM's own leg in it. */
const inventory = (): string => `
version: 1
sites: {x: {}, y: {}}
segments:
  a:
    prefix: 10.0.0.0/24
    gateways:
      - { name: rx, site: x, ip: ${OLD4}, mac: "02:00:00:00:01:01" }
      - { name: ry, site: y, ip: ${NEW4}, mac: "02:00:00:00:02:01" }
vms:
  web-07: { segment: a, ip: ${VM4}, mac: "${VM_MAC}" }
`
