import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {type DhcpLab, GATEWAYS, textOf, withDhcpLab} from './dhcp-lab.ts'
import {SERVERS, startDhcpcd} from './dhcp-servers.ts'

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
    },
  )
}

async function switchTo(lab: DhcpLab, site: string): Promise<SwitchDocument> {
  const {stdout, stderr} = await lab.gwswitch('switch', 'web-07', '--to', site, '-i', lab.server.interface, '--json')
  try {
    return JSON.parse(stdout) as SwitchDocument
  } catch {
    throw new Error(`${stdout}${stderr}\n${textOf(join(lab.dir, 'server.log'))}`)
  }
}
