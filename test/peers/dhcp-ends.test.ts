// How a switch by DHCP ends, with real servers and clients: what it may claim, and what it leaves behind.
import {existsSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import type {ControlAnswers} from '../../src/domain/dhcp/control.ts'
import {connectJson} from '../../src/net/stream/json-lines.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {startServer} from './dhcp-clients.ts'
import {type DhcpLab, GATEWAYS, textOf, withDhcpLab} from './dhcp-lab.ts'
import {startDhcpcd} from './dhcp-servers.ts'

const missing = noNamespaces ?? ((await hasProgram('dhcpcd')) ? undefined : 'dhcpcd is not installed')
const {rx, ry} = GATEWAYS

describe.skipIf(missing !== undefined)(`the end of a switch by DHCP${missing ? ` (${missing})` : ''}`, () => {
  it("at the server's own host is no proof: a VM that is there already is left alone, one that moved goes back", async () => {
    await withDhcpLab(
      'gwswitch',
      async (lab) => {
        await startServer(lab)
        await startDhcpcd(lab)
        expect(await lab.router()).toBe(rx.ip)
        const before = await said(lab)

        const again = await switchAt(lab, lab.server.namespace, 'eth0', 'x')
        expect(again).toMatchObject({end: 'not-begun', code: 'unverified', exitCode: 3, uses: null})
        expect(again.evidence[0]).toBe(`its server gives web-07 ${rx.ip} (rx) already, and its last ACK gave it that`)
        expect(again.evidence.join()).toContain("run this at rx or on the VM's own port")
        expect([await lab.router(), await said(lab)]).toEqual([rx.ip, before])

        const moved = await switchAt(lab, lab.server.namespace, 'eth0', 'y')
        expect(moved).toMatchObject({end: 'unknown', code: 'unverified', verified: false, exitCode: 7, uses: null})
        expect(moved.evidence[0]).toBe(`its last ACK gave it ${ry.ip}`)
        expect(moved.evidence.join()).toContain("run this at ry or on the VM's own port")
        expect(moved.rollback!.evidence[0]).toBe(`its last ACK gave it ${rx.ip}`)
        expect([await lab.router(), await said(lab)]).toEqual([rx.ip, before])

        const kept = await switchAt(lab, lab.server.namespace, 'eth0', 'y', '--accept-unverified')
        expect(kept).toMatchObject({end: 'accepted', code: 'unverified', exitCode: 0})
        expect(await lab.router()).toBe(ry.ip)

        // Where its packets come by, it is seen: by the gateway that it uses, and by the one that it left.
        const seen = await switchAt(lab, lab.gateway('ry'), 'seg', 'y')
        expect(seen).toMatchObject({end: 'already', code: 'already', exitCode: 0, uses: {name: 'ry'}})
        const back = await switchAt(lab, lab.gateway('rx'), 'seg', 'x')
        expect(back).toMatchObject({end: 'switched', code: 'served', exitCode: 0, uses: {name: 'rx'}})
      },
      {apart: true},
    )
  }, 180_000)

  it("names what outweighs a lease, where it is run at the new gateway's own leg and nothing comes there", async () => {
    await withDhcpLab('gwswitch', async (lab) => {
      await startServer(lab)
      await startDhcpcd(lab)
      await lab.client.run('ip', 'route', 'add', 'default', 'via', rx.ip, 'dev', lab.client.interface, 'metric', '1')
      const stayed = await switchAt(lab, lab.gateway('ry'), 'seg', 'y')
      expect(stayed).toMatchObject({verified: false, exitCode: expect.any(Number)})
      expect(stayed.evidence.slice(0, 2)).toEqual([
        `its last ACK gave it ${ry.ip}`,
        expect.stringMatching(/was not seen to use it: .*option 121 .*static route in the VM, or stock dhclient/),
      ])
      expect(stayed.evidence.join()).not.toContain('run this at ry')
    })
  }, 120_000)

  it('is not begun for a VM that is away: its server still gives it what it gave', async () => {
    await withDhcpLab('gwswitch', async (lab) => {
      await startServer(lab)
      await startDhcpcd(lab)
      const before = await said(lab)
      await lab.server.run('ip', 'link', 'set', lab.client.interface, 'down')
      const away = await switchAt(lab, lab.gateway('rx'), 'seg', 'x')
      expect(away).toMatchObject({end: 'not-begun', code: 'silent', exitCode: 5, rolledBack: false})
      expect(await said(lab)).toEqual(before)
      expect(before.router).toBe(rx.ip)
    })
  }, 120_000)

  it('of a VM whose server would move it away again is that its server keeps it there', async () => {
    await withDhcpLab('gwswitch', async (lab) => {
      await startServer(lab)
      await startDhcpcd(lab)
      await lab.client.run('ip', 'route', 'replace', 'default', 'via', ry.ip, 'dev', lab.client.interface)
      const mended = await switchAt(lab, lab.server.namespace, 'br0', 'y')
      expect(mended).toMatchObject({end: 'switched', code: 'served', exitCode: 0, before: {name: 'ry'}})
      expect(mended.evidence[0]).toBe(
        `it used ry already, and its server would have given it ${rx.ip} at its next renewal`,
      )
      expect(await said(lab)).toMatchObject({said: 'y', router: ry.ip})
    })
  }, 120_000)

  it('is partial where IPv6 stays behind, and so it is taken back unless that is accepted', async () => {
    await withDhcpLab(
      'gwswitch',
      async (lab) => {
        await speakIp6(lab)
        await startServer(lab)
        await startDhcpcd(lab)
        const there = () => switchAt(lab, lab.server.namespace, 'br0', 'y')
        const dry = await switchAt(lab, lab.server.namespace, 'br0', 'y', '--dry-run')
        expect(dry.describe.join('\n')).toContain('leaves IPv6 as it is')
        expect(existsSync(join(lab.dir, 'state.db'))).toBe(false)

        const partly = await there()
        expect(partly).toMatchObject({end: 'rolled-back', code: 'partial', exitCode: 3, uses: {name: 'rx'}})
        expect(partly.evidence).toContain(`web-07 leaves over IPv6 through rx (${rx.mac})`)
        expect(await lab.router()).toBe(rx.ip)

        const kept = await switchAt(lab, lab.server.namespace, 'br0', 'y', '--accept-unverified')
        expect(kept).toMatchObject({end: 'accepted', code: 'partial', exitCode: 0})
        expect(await lab.router()).toBe(ry.ip)
        // Nothing is left that DHCP could do.
        expect(await there()).toMatchObject({end: 'not-begun', code: 'partial', exitCode: 3, uses: {name: 'ry'}})

        await lab.client.run('ip', '-6', 'route', 'replace', 'default', 'via', 'fe80::b', 'dev', lab.client.interface)
        expect(await there()).toMatchObject({end: 'already', code: 'already', exitCode: 0})
      },
      {vm: ', ip6: ["2001:db8:9::10"]', gateways: {rx: ', ip6: ["fe80::a"]', ry: ', ip6: ["fe80::b"]'}},
    )
  }, 180_000)
})

/** Both gateways and the VM get IPv6 addresses; the VM uses rx. */
async function speakIp6(lab: DhcpLab): Promise<void> {
  const {client, server} = lab
  const at = (namespace: string, ...argv: string[]) => server.run('ip', 'netns', 'exec', namespace, ...argv)
  const on = (device: string) => ['sysctl', '-qw', `net/ipv6/conf/${device}/disable_ipv6=0`]
  for (const [name, ip] of [
    ['rx', 'fe80::a'],
    ['ry', 'fe80::b'],
  ] as const) {
    await at(lab.gateway(name), ...on('seg'))
    await at(lab.gateway(name), 'ip', '-6', 'address', 'add', `${ip}/64`, 'dev', 'seg', 'nodad')
  }
  await client.run(...on(client.interface))
  await client.run('ip', '-6', 'address', 'add', '2001:db8:9::10/64', 'dev', client.interface, 'nodad')
  await client.run('ip', '-6', 'route', 'add', 'default', 'via', 'fe80::a', 'dev', client.interface)
  await sleep(500)
}

async function switchAt(
  lab: DhcpLab,
  namespace: string,
  interfaceName: string,
  site: string,
  ...flags: string[]
): Promise<SwitchDocument> {
  const here = ['--to', site, '-i', interfaceName, '--json', ...flags]
  const {stdout, stderr} = await lab.gwswitchIn(namespace, 'switch', 'web-07', ...here)
  try {
    return JSON.parse(stdout) as SwitchDocument
  } catch {
    throw new Error(`${stdout}${stderr}\n${textOf(join(lab.dir, 'serve.log'))}`)
  }
}

/** What the server was told of the VM, and would give it. */
async function said(lab: DhcpLab): Promise<ControlAnswers['site']> {
  const peer = await connectJson(join(lab.dir, 'control'), 'gwswitch serve dhcp')
  try {
    return (await peer.ask({do: 'site', vm: 'web-07'})) as ControlAnswers['site']
  } finally {
    peer.close()
  }
}
