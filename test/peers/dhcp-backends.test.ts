import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {askUnixSocket} from '../../src/net/stream/unix-request.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import type {PrintableServer} from '../../src/orders/print-config/print-config.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {backendFor} from '../../src/strategies/dhcp/backends/backends.ts'
import {iscHost} from '../../src/strategies/dhcp/backends/isc-leases.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {type DhcpLab, GATEWAYS, inventoryOf, textOf, until, VM_IP, withDhcpLab} from './dhcp-lab.ts'
import {SERVERS, startDhcpcd} from './dhcp-servers.ts'

/** What Kea answers to a command of its control socket. */
async function kea(
  lab: DhcpLab,
  command: string,
  args?: object,
): Promise<{result: number; text?: string; arguments?: unknown}> {
  const request = JSON.stringify({command, ...(args && {arguments: args})})
  return JSON.parse(await askUnixSocket(join(lab.dir, 'kea.sock'), request, 'kea'))
}

/** Gives the running Kea another configuration. */
async function reconfigureKea(lab: DhcpLab, change: (config: KeaTestConfig) => void): Promise<void> {
  const {Dhcp4} = (await kea(lab, 'config-get')).arguments as {Dhcp4: KeaTestConfig}
  change(Dhcp4)
  expect(await kea(lab, 'config-set', {Dhcp4})).toMatchObject({result: 0})
}

type KeaTestConfig = Record<string, unknown> & {subnet4: Record<string, unknown>[]}

/** An authority, and certificates of a server on this host and of a client. */
const CERTIFICATES = `cd "$1" && exec >certificates.log 2>&1
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=authority
for one in s c; do
  openssl req -newkey rsa:2048 -nodes -keyout $one.key -out $one.csr -subj /CN=$one
  echo subjectAltName=IP:127.0.0.1 >$one.ext
  openssl x509 -req -in $one.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $one.ext -out $one.pem
done
chmod 600 *.key`

const noAgent =
  (await hasProgram('kea-ctrl-agent')) && (await hasProgram('openssl'))
    ? undefined
    : 'kea-ctrl-agent or openssl is not installed'
const noKea =
  noNamespaces ??
  ((await hasProgram('kea-dhcp4')) && (await hasProgram('dhcpcd')) ? undefined : 'kea-dhcp4 or dhcpcd is not installed')

describe.skipIf(noKea !== undefined)(`Kea${noKea ? ` (${noKea})` : ''}`, () => {
  it('that gives option 121 moves the VM by it, and keeps its other routes', async () => {
    await withDhcpLab('kea', async (lab) => {
      await SERVERS.kea.start(lab)
      await reconfigureKea(lab, (config) => {
        config['option-def'] = [{name: 'classless-static-route', code: 121, space: 'dhcp4', type: 'uint8', array: true}]
        const data = '0, 10, 9, 0, 2, 16, 10, 8, 10, 9, 0, 2'
        config.subnet4[0]!['option-data'] = [
          {name: 'routers', data: GATEWAYS.rx.ip},
          {code: 121, data},
        ]
      })
      await startDhcpcd(lab)
      const routes = () => lab.client.run('ip', '-4', 'route', 'show', '10.8.0.0/16')
      expect([await lab.router(), await routes()]).toEqual([GATEWAYS.rx.ip, expect.stringContaining(GATEWAYS.rx.ip)])
      expect(await switchTo(lab, 'y')).toMatchObject({verified: true, exitCode: 0})
      expect([await lab.router(), await routes()]).toEqual([GATEWAYS.ry.ip, expect.stringContaining(GATEWAYS.rx.ip)])
      expect(await switchTo(lab, 'x')).toMatchObject({verified: true, exitCode: 0})
      expect(await lab.router()).toBe(GATEWAYS.rx.ip)
    })
  })

  it.skipIf(noAgent !== undefined)(
    `is reached by HTTPS with a certificate of ours, and by nobody without${noAgent ? ` (${noAgent})` : ''}`,
    async () => {
      await withDhcpLab('kea', async (lab) => {
        const {dir, server} = lab
        await SERVERS.kea.start(lab)
        await server.run('ip', 'link', 'set', 'lo', 'up')
        await runCommand('sh', ['-c', CERTIFICATES, 'sh', dir])
        const agent = {
          ...{'http-host': '127.0.0.1', 'http-port': 8443, 'cert-required': true},
          ...{'trust-anchor': `${dir}/ca.pem`, 'cert-file': `${dir}/s.pem`, 'key-file': `${dir}/s.key`},
          'control-sockets': {dhcp4: {'socket-type': 'unix', 'socket-name': `${dir}/kea.sock`}},
        }
        writeFileSync(join(dir, 'agent.conf'), JSON.stringify({'Control-agent': agent}))
        const places = [`KEA_PIDFILE_DIR=${dir}`, `KEA_LOCKFILE_DIR=${dir}`]
        lab.start(server, 'agent', 'env', ...places, 'kea-ctrl-agent', '-c', join(dir, 'agent.conf'))
        await until(
          () => textOf(join(dir, 'agent.log')).includes('CTRL_AGENT_STARTED'),
          () => textOf(join(dir, 'agent.log')),
        )
        const inventory = readFileSync(lab.inventory, 'utf8')
        const by = (files: string) =>
          writeFileSync(
            lab.inventory,
            inventory.replace(`control: ${dir}/kea.sock`, `controls: ["https://127.0.0.1:8443/"], ${files}`),
          )
        by(`ca: ${dir}/ca.pem, cert: ${dir}/c.pem, key: ${dir}/c.key`)
        await startDhcpcd(lab)
        expect(await switchTo(lab, 'y')).toMatchObject({verified: true, exitCode: 0})
        expect(await lab.router()).toBe(GATEWAYS.ry.ip)

        for (const files of [`ca: ${dir}/ca.pem`, `cert: ${dir}/c.pem, key: ${dir}/c.key`]) {
          by(files)
          const refused = await lab.gwswitch('switch', 'web-07', '--to', 'x', '-i', server.interface)
          expect([refused.code, refused.stderr]).toEqual([
            expect.any(Number),
            expect.stringMatching(/https:\/\/127\.0\.0\.1:8443\/: kea-dhcp4 [^\n]+\n$/),
          ])
          expect(refused.code).not.toBe(0)
        }
        expect(await lab.router()).toBe(GATEWAYS.ry.ip)
      })
    },
    120_000,
  )

  it('that is one of a pair is not given a new configuration, and says why before anything is done', async () => {
    await withDhcpLab('kea', async (lab) => {
      await SERVERS.kea.start(lab)
      const folder = (await lab.server.run('sh', '-c', 'echo /usr/lib/*/kea/hooks')).trim()
      await reconfigureKea(lab, (config) => {
        const peers = ['primary', 'standby'].map((role, i) => ({
          name: `s${i}`,
          role,
          url: `http://127.0.0.1:${18001 + i}/`,
        }))
        const pair = {'this-server-name': 's0', mode: 'hot-standby', peers}
        config['hooks-libraries'] = [
          {library: `${folder}/libdhcp_lease_cmds.so`},
          {library: `${folder}/libdhcp_ha.so`, parameters: {'high-availability': [pair]}},
        ]
      })
      const before = await kea(lab, 'config-get')
      const refused = await lab.gwswitch('switch', 'web-07', '--to', 'y', '-i', lab.server.interface)
      expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('one of a high-availability pair')])
      expect(await kea(lab, 'config-get')).toEqual(before)
    })
  })
})

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

async function switchTo(lab: DhcpLab, site: string, ...flags: string[]): Promise<SwitchDocument> {
  const here = ['-i', lab.server.interface, '--json', ...flags]
  const {stdout, stderr} = await lab.gwswitch('switch', 'web-07', '--to', site, ...here)
  try {
    return JSON.parse(stdout) as SwitchDocument
  } catch {
    throw new Error(`${stdout}${stderr}\n${textOf(join(lab.dir, 'server.log'))}`)
  }
}
