// A VM that lands at the other site's hypervisor, whose shim has it renew at once: real servers and clients.
import {describe, expect, it} from 'vitest'
import {SHIM_PORT} from '../../src/domain/dhcp/shim-peers.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {BROADCAST} from '../../src/wire/address.ts'
import {udpFrame} from '../../src/wire/frames.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {linkIn} from './arp-link.ts'
import {startDhclient} from './dhcp-clients.ts'
import {GATEWAYS, textOf, until, withDhcpLab} from './dhcp-lab.ts'
import {startDhcpcd} from './dhcp-servers.ts'
import {askShim, keyed, startShim, startShims, stop} from './dhcp-shims.ts'
import {startPlainDnsmasq} from './plain-servers.ts'
import {speaks, type TwoHypervisors, withTwoHypervisors} from './two-hypervisors.ts'

const needed = ['dnsmasq', 'dhcpcd', 'dhclient', 'nft']
const present = await Promise.all(needed.map(hasProgram))
const missing = noNamespaces ?? needed.find((_, i) => !present[i])
const {rx, ry} = GATEWAYS
/** Longer than anything here takes: what happens before is no renewal of its own. */
const LONG_S = 300

describe.skipIf(missing !== undefined)(`the shims of two sites${missing ? ` (no ${missing})` : ''}`, () => {
  it('have dhcpcd renew at once where it lands: by switch, and by a word to the control socket alone', async () => {
    await withTwoHypervisors(async (lab) => {
      await startPlainDnsmasq(lab)
      const shims = await startShims(lab, LONG_S)
      await startDhcpcd(lab)
      expect(await lab.router()).toBe(rx.ip)
      await lab.moveTo('y')
      await speaks(lab)

      const there = await switchAt(lab, 'x')
      expect([there.code, there.stderr]).toEqual([2, expect.stringContaining(`gives web-07 ${ry.ip}, not ${rx.ip}`)])
      const past = await lab.gwswitchIn(lab.hy, 'switch', 'web-07', '--to', 'y', '-i', 'dci')
      expect([past.code, past.stderr]).toEqual([2, expect.stringContaining('want -i vm0')])
      const plan = await switchAt(lab, 'y', '--dry-run')
      expect(plan.stdout).toContain('tell no DHCP server anything')
      expect(plan.stdout).toContain('by an authenticated FORCERENEW')

      const moved = await switchAt(lab, 'y', '--json')
      expect(JSON.parse(moved.stdout), moved.stdout + moved.stderr).toMatchObject({
        ...{end: 'switched', code: 'served', exitCode: 0, uses: {name: 'ry'}},
        evidence: expect.arrayContaining([`its last ACK gave it ${ry.ip}`]),
      })
      expect(await lab.router()).toBe(ry.ip)

      await lab.moveTo('x')
      await speaks(lab)
      const startedMs = performance.now()
      expect(await askShim(lab, 'x', {do: 'forcerenew', vm: 'web-07'})).toMatchObject({ok: true, trigger: 'forcerenew'})
      await routed(lab, rx.ip)
      const tookMs = performance.now() - startedMs
      process.stdout.write(`from the word to the new route: ${Math.round(tookMs)} ms\n`)
      expect(tookMs).toBeLessThan(3000)
      expect(textOf(shims[0]!.log)).toMatch(/event=DHCPFORCERENEW vm=web-07/)
      for (const shim of shims) await stop(shim)
    })
  }, 120_000)

  it('take nothing back, and say so, where the VM was not seen to follow', async () => {
    await withTwoHypervisors(async (lab) => {
      await startPlainDnsmasq(lab)
      const shims = await startShims(lab, LONG_S)
      await startDhcpcd(lab)
      await lab.client.run('ip', 'route', 'add', 'default', 'via', rx.ip, 'dev', lab.client.interface, 'metric', '1')
      await lab.moveTo('y')
      await speaks(lab)
      const {code, stdout, stderr} = await switchAt(lab, 'y', '--json')
      const document = JSON.parse(stdout) as SwitchDocument
      expect(document, stdout + stderr).toMatchObject({
        end: 'unknown',
        code: 'elsewhere',
        rolledBack: false,
        exitCode: 7,
      })
      expect(code).toBe(7)
      expect(document.evidence).toContain(`its last ACK gave it ${ry.ip}`)
      expect(document.rollback!.evidence[0]).toContain(
        'a shim gives the VMs at its hypervisor the gateway of their site',
      )
      for (const shim of shims) await stop(shim)
    })
  }, 120_000)

  it('refuse the renewal of dhclient as it comes once, which then takes the new router', async () => {
    await withTwoHypervisors(async (lab) => {
      await startPlainDnsmasq(lab)
      const shims = await startShims(lab, 4)
      await startDhclient(lab, false)
      expect(await lab.router()).toBe(rx.ip)
      await lab.moveTo('y')
      await speaks(lab)
      const {stdout, stderr} = await switchAt(lab, 'y', '--json')
      expect(JSON.parse(stdout), stdout + stderr).toMatchObject({end: 'switched', code: 'served', exitCode: 0})
      expect(await lab.router()).toBe(ry.ip)
      const log = textOf(shims[1]!.log)
      expect(log.match(/event=changed .*answer=DHCPNAK/g)).toHaveLength(1)
      expect(await askShim(lab, 'y', {do: 'transaction', vm: 'web-07'})).toMatchObject({
        kind: 'dhclient',
        router: ry.ip,
      })
      for (const shim of shims) await stop(shim)
    })
  }, 120_000)

  it('know nothing of each other’s VMs without their key, and tell nobody who has another one', async () => {
    await withTwoHypervisors(async (lab) => {
      await startPlainDnsmasq(lab)
      const shims = await startShims(lab, LONG_S, [
        'one that site x alone has: 32 or more',
        'and another that site y alone has',
      ])
      await startDhcpcd(lab)
      await lab.moveTo('y')
      await speaks(lab)
      expect(await askShim(lab, 'y', {do: 'forcerenew', vm: 'web-07'})).toMatchObject({
        ok: false,
        error: {kind: 'refused'},
      })
      expect(await askShim(lab, 'y', {do: 'transaction', vm: 'web-07'})).toMatchObject({
        ok: false,
        error: {kind: 'usage'},
      })
      for (const shim of shims) await stop(shim)
    })
  }, 120_000)

  it('lie on the way to others, whom what is said between them reaches, and no VM', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      const shim = await startShim(lab, 'y', {elsewhere: 'rx'}, '-i', 'ry', ...keyed(lab, 'y'))
      await using from = await linkIn(lab.gateway('rx'), 'seg')
      await using beyond = await linkIn(lab.gateway('ry'), 'seg')
      await using vm = await linkIn(lab.client.namespace, lab.client.interface)
      const heard = {beyond: [] as string[], vm: [] as string[]}
      beyond.onFrame(({bytes}) => void heard.beyond.push(Buffer.from(bytes).toString('latin1')))
      vm.onFrame(({bytes}) => void heard.vm.push(Buffer.from(bytes).toString('latin1')))
      const hears = (who: keyof typeof heard, what: string) => heard[who].some((frame) => frame.includes(what))
      const say = (what: string, destinationPort = SHIM_PORT) => {
        const ends = {source: '0.0.0.0', destination: '255.255.255.255'}
        const udp = {sourcePort: SHIM_PORT, destinationPort, payload: Buffer.from(what)}
        from.send(udpFrame({destination: BROADCAST, source: from.mac}, ends, udp))
      }
      say('the first word')
      // More than a shim takes.
      for (let i = 0; i < 1000; i++) say('a word of shims')
      say('another word', SHIM_PORT + 1)
      await until(
        () => hears('beyond', 'another') && hears('vm', 'another'),
        () => `${heard.beyond.length} and ${heard.vm.length} frames`,
      )
      expect([hears('beyond', 'first'), hears('vm', 'first'), hears('vm', 'shims')]).toEqual([true, false, false])
      await stop(shim)
    })
  }, 60_000)
})

const switchAt = (lab: TwoHypervisors, site: 'x' | 'y', ...flags: readonly string[]) =>
  lab.gwswitchIn(lab.hy, 'switch', 'web-07', '--to', site, '-i', 'vm0', ...flags)

const routed = (lab: TwoHypervisors, ip: string): Promise<void> =>
  until(
    async () => (await lab.router()) === ip,
    () => `the client does not use ${ip}`,
  )
