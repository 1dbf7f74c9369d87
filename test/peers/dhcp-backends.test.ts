import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {askUnixSocket} from '../../src/net/stream/unix-request.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import type {PrintableServer} from '../../src/orders/print-config/print-config.ts'
import {backendFor} from '../../src/strategies/dhcp/backends/backends.ts'
import {iscHost} from '../../src/strategies/dhcp/backends/isc-leases.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {type DhcpLab, GATEWAYS, inventoryOf, textOf, VM_IP, withDhcpLab} from './dhcp-lab.ts'
import {SERVERS, startDhcpcd, startIsc, switchTo} from './dhcp-servers.ts'

const noDnsmasq =
  noNamespaces ??
  ((await hasProgram('dnsmasq')) && (await hasProgram('dhcpcd')) ? undefined : 'dnsmasq or dhcpcd is not installed')

describe.skipIf(noDnsmasq !== undefined)(`dnsmasq${noDnsmasq ? ` (${noDnsmasq})` : ''}`, () => {
  it('that gives everybody option 121 moves the VM by it, and keeps its other routes', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      // Read by dnsmasq itself from a folder of the lab: no words of ours say where.
      const folder = join(lab.dir, 'more')
      mkdirSync(folder)
      writeFileSync(
        join(folder, 'routes'),
        `dhcp-option=121,10.8.0.0/16,${GATEWAYS.rx.ip},0.0.0.0/0,${GATEWAYS.rx.ip}\n`,
      )
      await SERVERS.dnsmasq.start({
        ...lab,
        start: (end, name, program, ...argv) => lab.start(end, name, program!, ...argv, '-7', folder),
      })
      await startDhcpcd(lab)
      const routes = () => lab.client.run('ip', '-4', 'route', 'show', '10.8.0.0/16')
      const opts = textOf(join(lab.dir, 'opts'))
      expect([await lab.router(), await routes()]).toEqual([GATEWAYS.rx.ip, expect.stringContaining(GATEWAYS.rx.ip)])
      expect(await switchTo(lab, 'y')).toMatchObject({verified: true, exitCode: 0})
      expect([await lab.router(), await routes()]).toEqual([GATEWAYS.ry.ip, expect.stringContaining(GATEWAYS.rx.ip)])
      const failed = await switchTo(lab, 'x', '--verify-to', '203.0.113.99')
      expect(failed).toMatchObject({end: 'rolled-back', exitCode: 3})
      expect(await lab.router()).toBe(GATEWAYS.ry.ip)
      expect(opts).not.toContain('121')
    })
  })
})

const noIsc =
  noNamespaces ??
  ((await hasProgram('/usr/sbin/dhcpd')) && (await hasProgram('dhcpcd'))
    ? undefined
    : 'dhcpd or dhcpcd is not installed')

describe.skipIf(noIsc !== undefined)(`ISC dhcpd${noIsc ? ` (${noIsc})` : ''}`, () => {
  it('that gives everybody option 121 moves the VM by it, and keeps its other routes', async () => {
    await withDhcpLab('isc', async (lab) => {
      const data = '0, 10, 9, 0, 2, 16, 10, 8, 10, 9, 0, 2'
      await startIsc(
        lab,
        `option static-routes-of-ours ${data};`,
        'option static-routes-of-ours code 121 = array of integer 8;',
      )
      await startDhcpcd(lab)
      const routes = () => lab.client.run('ip', '-4', 'route', 'show', '10.8.0.0/16')
      expect([await lab.router(), await routes()]).toEqual([GATEWAYS.rx.ip, expect.stringContaining(GATEWAYS.rx.ip)])
      const before = await saidBy(lab, 'isc')
      const there = await switchTo(lab, 'y')
      expect(there).toMatchObject({verified: true, exitCode: 0, plan: {statement: {router: GATEWAYS.rx.ip}}})
      expect([await lab.router(), await routes()]).toEqual([GATEWAYS.ry.ip, expect.stringContaining(GATEWAYS.rx.ip)])
      const between = await saidBy(lab, 'isc')
      expect(between).not.toBe(before)
      const failed = await switchTo(lab, 'x', '--verify-to', '203.0.113.99')
      expect(failed).toMatchObject({end: 'rolled-back', exitCode: 3, plan: {statement: {router: GATEWAYS.ry.ip}}})
      expect([await lab.router(), await saidBy(lab, 'isc')]).toEqual([GATEWAYS.ry.ip, between])
    })
  }, 120_000)
})

for (const [kind, {program, start}] of Object.entries(SERVERS) as [
  keyof typeof SERVERS,
  (typeof SERVERS)[keyof typeof SERVERS],
][]) {
  const missing =
    noNamespaces ??
    ((await hasProgram(program))
      ? (await hasProgram('dhcpcd'))
        ? undefined
        : 'dhcpcd is not installed'
      : `${program} is not installed`)

  describe.skipIf(missing !== undefined)(
    `a switch with ${kind} as the server and stock dhcpcd as the client${missing ? ` (${missing})` : ''}`,
    () => {
      it('moves the VM there and back, its address kept, and tells what the client did', async () => {
        await withDhcpLab(kind, async (lab) => {
          await start(lab)
          await startDhcpcd(lab)
          expect(await lab.router()).toBe(GATEWAYS.rx.ip)
          const monitor = lab.start(lab.client, 'monitor', 'ip', '-4', 'monitor', 'address')

          const there = await switchTo(lab, 'y')
          expect(there).toMatchObject({verified: true, rolledBack: false, strategy: 'dhcp', exitCode: 0})
          expect(there.evidence.join()).toContain(`leaves through ry (${GATEWAYS.ry.mac})`)
          expect(await lab.router()).toBe(GATEWAYS.ry.ip)

          const back = await switchTo(lab, 'x')
          expect(back).toMatchObject({verified: true, exitCode: 0})
          expect(await lab.router()).toBe(GATEWAYS.rx.ip)

          // Without a new router the FORCERENEW is obeyed all the same; the one that was asked for is not there.
          const wrong = await lab.gwswitch('send-reconfigure', 'web-07', '--json', '--router', GATEWAYS.ry.ip)
          expect(JSON.parse(wrong.stdout)).toMatchObject({
            exitCode: 4,
            clients: [{outcome: 'refused', router: GATEWAYS.rx.ip, toldBy: 'wire', canListen: true}],
          })

          monitor.kill('SIGTERM')
          expect(
            lab
              .log('monitor')
              .split('\n')
              .filter((line) => line.startsWith('Deleted')),
          ).toEqual([])
          if (kind === 'dnsmasq')
            expect(readFileSync(join(lab.dir, 'opts'), 'utf8')).toMatch(
              /^# kept\n(?:.*\n)*tag:other,option:router,10\.9\.0\.99\n/,
            )
        })
      }, 120_000)

      it('has its server back as it was, and the VM, where the network does not agree', async () => {
        await withDhcpLab(kind, async (lab) => {
          await start(lab)
          await sayNothing(lab, kind)
          await startDhcpcd(lab)
          expect(await lab.router()).toBe(GATEWAYS.rx.ip)
          const before = await saidBy(lab, kind)
          expect(before).not.toContain(GATEWAYS.ry.ip)
          const files = readdirSync(lab.dir).sort()
          const dry = await switchTo(lab, 'y', '--dry-run')
          expect(dry.dryRun).toBe(true)
          expect(readdirSync(lab.dir).sort()).toEqual(files)

          // Nobody is there: the VM moves, and that it is served cannot be proved.
          const failed = await switchTo(lab, 'y', '--verify-to', '203.0.113.99')
          expect(failed).toMatchObject({end: 'rolled-back', code: 'unverified', exitCode: 3, uses: {name: 'rx'}})
          expect(failed.evidence).toContain(`its last ACK gave it ${GATEWAYS.ry.ip}`)
          expect(failed.plan).toMatchObject({
            statement: {router: kind === 'kea' ? GATEWAYS.rx.ip : null, legible: true},
          })
          expect(await lab.router()).toBe(GATEWAYS.rx.ip)
          expect(await saidBy(lab, kind)).toBe(before)
        })
      }, 120_000)
    },
  )
}

const VM = {name: 'web-07', ip: VM_IP, mac: '02:00:00:00:00:0b'}

/** From here on the server says nothing of the VM's router in particular, and gives it that of all. */
async function sayNothing(lab: DhcpLab, kind: PrintableServer): Promise<void> {
  if (kind === 'isc') {
    // A host without statements: its address is kept.
    const open = ['connect', 'new host', `set hardware-address = ${VM.mac}`, 'set hardware-type = 1', 'open', 'remove']
    const made = ['new host', 'set name = "web-07"', `set hardware-address = ${VM.mac}`, 'set hardware-type = 1']
    await omshell(lab, [...open, ...made, `set ip-address = ${VM.ip}`, 'create'])
    return
  }
  const {segments} = inventoryOf(lab)
  const backend = backendFor(segments[0]!.dhcp!, {segment: 'lan', world: systemWorld(() => {})})
  await backend.restore(VM, {router: null, own: kind === 'kea' ? [[]] : null, legible: true})
}

/** What the server says of the VM, as text. */
async function saidBy(lab: DhcpLab, kind: PrintableServer): Promise<string> {
  if (kind === 'dnsmasq') return readFileSync(join(lab.dir, 'opts'), 'utf8')
  if (kind === 'isc') return JSON.stringify(iscHost(readFileSync(join(lab.dir, 'dhcpd.leases'), 'utf8'), VM.mac))
  const answer = await askUnixSocket(join(lab.dir, 'kea.sock'), '{"command": "config-get"}', 'kea-dhcp4')
  return JSON.stringify(JSON.parse(answer).arguments.Dhcp4.subnet4)
}

async function omshell(lab: DhcpLab, lines: readonly string[]): Promise<void> {
  const key = readFileSync(join(lab.dir, 'omapi.key'), 'utf8').trim()
  const script = join(lab.dir, 'omshell.test')
  writeFileSync(script, `${['server 127.0.0.1', 'port 7911', `key ${key}`, ...lines].join('\n')}\n`)
  await lab.server.run('sh', '-c', `omshell <${script}`)
}
