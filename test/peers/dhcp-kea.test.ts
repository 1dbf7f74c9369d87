import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {runCommand} from '../../src/net/process/command.ts'
import {askUnixSocket} from '../../src/net/stream/unix-request.ts'
import {systemWorld} from '../../src/net/system-world.ts'
import {keaBackend} from '../../src/strategies/dhcp/backends/kea.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {type DhcpLab, GATEWAYS, SERVER_IP, textOf, until, VM_IP, withDhcpLab} from './dhcp-lab.ts'
import {SERVERS, startDhcpcd, switchTo} from './dhcp-servers.ts'

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

  it('that knows the VM by its client-id alone moves it by that reservation, over what its pool gives, and keeps it in its file', async () => {
    await withDhcpLab(
      'kea',
      async (lab) => {
        const file = join(lab.dir, 'kea.conf')
        await SERVERS.kea.start(lab)
        await startDhcpcd(lab)
        const clientId = textOf(join(lab.dir, 'kea.leases')).split('\n').at(-2)!.split(',')[2]!
        expect(clientId).toMatch(/^ff:/)
        await reconfigureKea(lab, (config) => {
          config['option-def'] = [
            {name: 'classless-static-route', code: 121, space: 'dhcp4', type: 'uint8', array: true},
          ]
          const routes = {code: 121, data: '0, 10, 9, 0, 2, 16, 10, 8, 10, 9, 0, 2'}
          Object.assign(config.subnet4[0]!, {
            'option-data': [{name: 'routers', data: '10.9.0.99'}],
            pools: [{pool: '10.9.0.10-10.9.0.20', 'option-data': [{name: 'routers', data: GATEWAYS.rx.ip}, routes]}],
            reservations: [{'client-id': clientId, 'ip-address': VM_IP, hostname: 'web'}],
          })
        })
        const reservations = async () =>
          ((await kea(lab, 'config-get')).arguments as {Dhcp4: KeaTestConfig}).Dhcp4.subnet4[0]!.reservations
        const before = await reservations()

        const there = await switchTo(lab, 'y')
        expect(there).toMatchObject({
          verified: true,
          exitCode: 0,
          plan: {statement: {router: GATEWAYS.rx.ip, own: [[]]}},
        })
        expect(await lab.router()).toBe(GATEWAYS.ry.ip)
        const routes = await lab.client.run('ip', '-4', 'route', 'show', '10.8.0.0/16')
        expect(routes).toContain(GATEWAYS.rx.ip)
        const kept = JSON.parse(textOf(file)) as {Dhcp4: KeaTestConfig}
        expect(kept.Dhcp4.subnet4[0]!.reservations).toEqual(await reservations())
        expect(JSON.stringify(await reservations())).toContain(`"data":"${GATEWAYS.ry.ip}"`)

        const failed = await switchTo(lab, 'x', '--verify-to', '203.0.113.99')
        expect(failed).toMatchObject({end: 'rolled-back', exitCode: 3})
        expect([await lab.router(), textOf(file)]).toEqual([GATEWAYS.ry.ip, expect.stringContaining(GATEWAYS.ry.ip)])

        // A file that nobody can write, not even root.
        rmSync(file)
        mkdirSync(file)
        const now = await reservations()
        const refused = await lab.gwswitch('switch', 'web-07', '--to', 'x', '-i', lab.server.interface)
        expect([refused.code, refused.stdout]).toEqual([
          4,
          expect.stringMatching(/kea\.sock: kea-dhcp4: config-write: [^\n]+\(persist\): put back\n/),
        ])
        expect([await reservations(), await lab.router()]).toEqual([now, GATEWAYS.ry.ip])
        expect(before).not.toEqual(now)
      },
      {segment: ', persist: true'},
    )
  }, 120_000)

  it('that is one of a pair is not given a new configuration, says why before anything is done, and how both are', async () => {
    await withDhcpLab('kea', async (lab) => {
      await SERVERS.kea.start(lab)
      const folder = (await lab.server.run('sh', '-c', 'echo /usr/lib/*/kea/hooks')).trim()
      const standby = await startStandby(lab)
      const controls = [join(lab.dir, 'standby.sock'), join(lab.dir, 'kea.sock')]
      await reconfigureKea(lab, (config) => Object.assign(config, oneOfPair('s0', folder)))
      const conditionOf = (paths: readonly string[]) =>
        keaBackend({server: 'kea', controls: paths}, {segment: 'lan', world: systemWorld(() => {})}).condition!
      await become(conditionOf(controls), 'standby hot-standby, primary hot-standby')
      const before = await kea(lab, 'config-get')
      const refused = await lab.gwswitch('switch', 'web-07', '--to', 'y', '-i', lab.server.interface)
      expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('one of a high-availability pair')])
      expect(await kea(lab, 'config-get')).toEqual(before)

      standby.kill('SIGKILL')
      await become(conditionOf(controls.slice(1)), 'primary partner-down')
    })
  }, 120_000)
})

/** What makes a Kea one of two, which give each other up within seconds. */
function oneOfPair(name: 's0' | 's1', folder: string): object {
  const peers = [
    {name: 's0', role: 'primary', url: `http://${SERVER_IP}:18001/`},
    {name: 's1', role: 'standby', url: `http://${GATEWAYS.ry.ip}:18001/`},
  ]
  const times = {'heartbeat-delay': 500, 'max-response-delay': 2000, 'max-unacked-clients': 0}
  const threads = {'enable-multi-threading': true, 'http-dedicated-listener': true}
  const pair = {'this-server-name': name, mode: 'hot-standby', peers, ...times, 'multi-threading': threads}
  return {
    'multi-threading': {'enable-multi-threading': true},
    'hooks-libraries': [
      {library: `${folder}/libdhcp_lease_cmds.so`},
      {library: `${folder}/libdhcp_ha.so`, parameters: {'high-availability': [pair]}},
    ],
  }
}

async function become(condition: () => Promise<string | undefined>, want: string): Promise<void> {
  let last: string | undefined
  await until(
    async () => {
      last = await condition()
      return last === `high-availability states: ${want}`
    },
    () => `${last}`,
    60_000,
  )
}

/** The other one, at a gateway. */
async function startStandby(lab: DhcpLab) {
  const {dir} = lab
  const folder = (await lab.server.run('sh', '-c', 'echo /usr/lib/*/kea/hooks')).trim()
  const config = {
    'interfaces-config': {interfaces: ['seg'], 'dhcp-socket-type': 'raw'},
    'lease-database': {type: 'memfile', name: `${dir}/standby.leases`},
    'control-socket': {'socket-type': 'unix', 'socket-name': `${dir}/standby.sock`},
    subnet4: [{id: 1, subnet: '10.9.0.0/24'}],
    ...oneOfPair('s1', folder),
  }
  writeFileSync(join(dir, 'standby.conf'), JSON.stringify({Dhcp4: config}))
  const own = join(dir, 'standby')
  mkdirSync(own)
  const places = [`KEA_PIDFILE_DIR=${own}`, `KEA_LOCKFILE_DIR=${own}`]
  const end = {...lab.server, namespace: lab.gateway('ry')}
  const standby = lab.start(end, 'standby', 'env', ...places, 'kea-dhcp4', '-c', join(dir, 'standby.conf'))
  await until(
    () => existsSync(join(dir, 'standby.sock')),
    () => textOf(join(dir, 'standby.log')),
  )
  return standby
}
