// A real guest whose DHCP client asks anew when its link comes back, and QEMU's own monitor that takes the link down.
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {afterAll, describe, expect, it} from 'vitest'
import {addProgram, type GuestImage, guestImage, packInitrd, which} from '../../src/lab/guest/image.ts'
import {type RunningGuest, startGuest} from '../../src/lab/guest/machine.ts'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {openGuestAgent} from '../../src/net/stream/qga.ts'
import type {ReconfigureDocument} from '../../src/orders/reconfigure/reconfigure-report.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {startServer} from '../peers/dhcp-clients.ts'
import {type DhcpLab, GATEWAYS, textOf, VM_IP, withDhcpLab} from '../peers/dhcp-lab.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const image = noNamespaces ?? (await guestImage())
const missing = typeof image === 'string' ? image : (await hasProgram('dhcpcd')) ? undefined : 'dhcpcd is not installed'
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-carrier-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

/** It takes no nonce, so that nothing but its link is left to make it ask. */
const START = `
ip address flush dev eth0
mkdir -p /var/lib/dhcpcd /run/dhcpcd
dhcpcd -4 -B --nodev eth0 >/run/dhcpcd.log 2>&1 &
`
async function withDhcpcd(base: GuestImage): Promise<GuestImage> {
  const added = join(scratch, 'added')
  for (const folder of ['sbin', 'etc']) mkdirSync(join(added, folder), {recursive: true})
  await addProgram(added, await which('dhcpcd'), 'sbin/dhcpcd')
  writeFileSync(join(added, 'etc/dhcpcd.conf'), 'nooption forcerenew_nonce_capable\nscript /bin/true\n')
  writeFileSync(join(added, 'start'), START)
  const initrd = join(scratch, 'initrd.img')
  await packInitrd(added, `${initrd}.added`)
  await runCommand('sh', ['-c', `cat ${base.initrd} ${initrd}.added > ${initrd}`])
  return {...base, initrd}
}

async function inGuest({agentSocket}: RunningGuest, ...argv: string[]): Promise<string> {
  const agent = await openGuestAgent(agentSocket, AbortSignal.timeout(20_000))
  try {
    return (await agent.run(argv)).stdout
  } finally {
    agent.close()
  }
}

const carrier = async (guest: RunningGuest): Promise<string> =>
  (await inGuest(guest, '/bin/cat', '/sys/class/net/eth0/carrier')).trim()
const router = async (guest: RunningGuest): Promise<string | undefined> =>
  /^default via (\S+)/m.exec(await inGuest(guest, '/sbin/ip', '-4', 'route', 'show', 'default'))?.[1]

/** Processes that take a link down, by the order that they were given. */
async function flappers(qmp: string): Promise<number[]> {
  const {stdout} = await tryCommand('pgrep', ['-f', `flap-main.*${qmp}`])
  return stdout.split('\n').filter(Boolean).map(Number)
}

const CLI = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

async function withGuest(fn: (lab: DhcpLab, guest: RunningGuest, qmp: string) => Promise<void>): Promise<void> {
  const qmp = join(scratch, 'web-07.qmp')
  await withDhcpLab(
    'gwswitch',
    async (lab) => {
      await startServer(lab)
      const {client, hypervisor} = lab
      await client.run('ip', 'link', 'set', client.interface, 'down')
      for (const words of ['tuntap add tap0 mode tap', 'link set tap0 master br0', 'link set tap0 up'])
        await runCommand('ip', ['-n', hypervisor, ...words.split(' ')])
      const guest = await startGuest(await withDhcpcd(image as GuestImage), {
        ...{namespace: hypervisor, tap: 'tap0', mac: client.mac, mtu: 1500, scratch, name: 'web-07'},
        ...{address: `${VM_IP}/24`, gateway: GATEWAYS.rx.ip},
      })
      try {
        await until(async () => (await router(guest)) === GATEWAYS.rx.ip, 60_000, 'the guest has its lease')
        await fn(lab, guest, qmp)
      } finally {
        await guest.stop()
      }
    },
    {vm: `, dhcp: {carrier: {qmp: ${qmp}}}`},
  )
}

describe.skipIf(missing !== undefined)(`the link of a guest of QEMU${missing ? ` (${missing})` : ''}`, () => {
  it(
    'is taken down where nothing else makes its client ask, and is up again whoever is killed',
    {timeout: 300_000},
    () =>
      withGuest(async (lab, guest, qmp) => {
        const here = ['web-07', '-i', lab.server.interface]
        const dry = await lab.gwswitch('switch', ...here, '--to', 'y', '--dry-run')
        expect(dry.stdout).toMatch(/as the last resort, take its link down for 1 s and up again \(QMP \S+\)/)

        const {stdout, stderr} = await lab.gwswitch('switch', ...here, '--to', 'y', '--json')
        const document = JSON.parse(stdout || `"${stderr}"`) as SwitchDocument
        const said = `${JSON.stringify(document)}\n${textOf(join(lab.dir, 'serve.log'))}`
        expect(document, said).toMatchObject({verified: true, plan: {triggers: [{kind: 'carrier'}]}})
        expect(await router(guest)).toBe(GATEWAYS.ry.ip)

        const failed = await lab.gwswitch('switch', ...here, '--to', 'x', '--json', '--verify-to', '203.0.113.99')
        expect(JSON.parse(failed.stdout || `"${failed.stderr}"`)).toMatchObject({end: 'rolled-back', exitCode: 3})
        expect(await router(guest)).toBe(GATEWAYS.ry.ip)

        const asked = await lab.gwswitch('send-reconfigure', ...here, '--trigger', 'carrier', '--json')
        expect(JSON.parse(asked.stdout || `"${asked.stderr}"`) as ReconfigureDocument).toMatchObject({
          message: 'link flap',
          clients: [{outcome: 'acted', router: GATEWAYS.ry.ip, toldBy: 'wire', attempts: 1}],
        })

        // kill -9 of whoever began it, and of the process that has the link in its hands.
        for (const victim of ['parent', 'flapper']) {
          const argv = [process.execPath, CLI, 'send-reconfigure', ...here, '--trigger', 'carrier', '-f', lab.inventory]
          const begun = lab.start(lab.server, victim, ...argv)
          await until(async () => (await carrier(guest)) === '0', 20_000, 'the link is down')
          const [flapper] = await flappers(qmp)
          if (victim === 'parent') begun.kill('SIGKILL')
          else process.kill(flapper!, 'SIGKILL')
          await until(async () => (await carrier(guest)) === '1', 20_000, 'the link is up again')
          await until(async () => (await flappers(qmp)).length === 0, 20_000, 'nobody is left behind')
        }
        // A switch too, which its guard then takes back.
        await until(async () => (await router(guest)) === GATEWAYS.ry.ip, 30_000, 'the guest has probed its address')
        const argv = [process.execPath, CLI, 'switch', ...here, '--to', 'x', '-f', lab.inventory]
        const begun = lab.start(lab.server, 'switch', ...argv)
        await until(async () => (await carrier(guest)) === '0', 20_000, 'the link is down')
        begun.kill('SIGKILL')
        const guarded = () => textOf(join(lab.dir, 'switch.log'))
        await until(async () => guarded().includes('was cut short; rolled back'), 60_000, 'the guard has acted')
        expect([await carrier(guest), await router(guest), await flappers(qmp)]).toEqual(['1', GATEWAYS.ry.ip, []])
        await until(
          async () => textOf(join(lab.dir, 'flapper.log')).includes('the link is up again'),
          20_000,
          'it is said',
        )
      }),
  )
})
