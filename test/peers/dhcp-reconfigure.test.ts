import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {describe, expect, it} from 'vitest'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import type {ReconfigureDocument} from '../../src/orders/reconfigure/reconfigure-report.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {parseDhcp} from '../../src/wire/dhcp.ts'
import {DHCPFORCERENEW, dhcpOptions, readOption} from '../../src/wire/dhcp-options.ts'
import {parseFrame} from '../../src/wire/frames.ts'
import {parsePcap} from '../../src/wire/pcap.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {startDhclient, startServer} from './dhcp-clients.ts'
import {type DhcpLab, GATEWAYS, SERVER_IP, textOf, until, VM_IP, withDhcpLab} from './dhcp-lab.ts'
import {SERVERS, startDhcpcd} from './dhcp-servers.ts'

const missing =
  noNamespaces ??
  ((await hasProgram('dnsmasq')) && (await hasProgram('dhcpcd'))
    ? undefined
    : 'dnsmasq and dhcpcd are not both installed')
const CLI = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

describe.skipIf(missing !== undefined)(`send-reconfigure and stock dhcpcd${missing ? ` (${missing})` : ''}`, () => {
  it('needs nothing but what --learn saw on the wire', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      const {server, client, dir} = lab
      await SERVERS.dnsmasq.start(lab)
      const state = join(dir, 'learned.db')
      lab.start(
        server,
        'learn',
        process.execPath,
        CLI,
        'send-reconfigure',
        '--learn',
        '--verbose',
        '-i',
        server.interface,
        '--state',
        state,
      )
      await until(
        async () => (await server.run('cat', '/proc/net/packet')).split('\n').length > 2,
        () => lab.log('learn'),
      )
      await startDhcpcd(lab)
      await until(
        () => textOf(join(dir, 'learn.log')).includes('with a nonce'),
        () => lab.log('learn'),
      )

      const bare = (...args: string[]) =>
        tryCommand('ip', [
          'netns',
          'exec',
          server.namespace,
          process.execPath,
          CLI,
          'send-reconfigure',
          VM_IP,
          '--json',
          '--state',
          state,
          '-i',
          server.interface,
          ...args,
        ])
      const dry = JSON.parse((await bare('--dry-run')).stdout) as ReconfigureDocument
      expect(dry.frames).toMatchObject([{authenticated: true, layer: 'ethernet', mac: client.mac}])

      const pcap = join(dir, 'run.pcap')
      // It was bound just now, on a machine that may be busy: it may take more than a second, and more than one try.
      const acted = JSON.parse((await bare('--timeout', '10', '--pcap', pcap)).stdout) as ReconfigureDocument
      expect(acted).toMatchObject({
        exitCode: 0,
        clients: [{outcome: 'acted', router: GATEWAYS.rx.ip, toldBy: 'wire', kind: 'dhcpcd', canListen: true}],
      })
      const {attempts, requestMs, ackMs} = acted.clients[0]!
      expect(ackMs).toBeGreaterThanOrEqual(requestMs!)

      writeFileSync(join(dir, 'wrong'), '00'.repeat(16))
      const silent = JSON.parse(
        (await bare('--nonce-file', join(dir, 'wrong'), '--attempts', '2', '--pcap', join(dir, 'wrong.pcap'))).stdout,
      ) as ReconfigureDocument
      expect(silent).toMatchObject({exitCode: 5, clients: [{outcome: 'silent', attempts: 2}]})
      expect(silent.clients[0]!.advice).toContain('xid or nonce are not its own')

      // Every FORCERENEW from a port that is no server's, each replay value above the one before.
      expect(forcerenews(pcap)).toHaveLength(attempts)
      const sent = [...forcerenews(pcap), ...forcerenews(join(dir, 'wrong.pcap'))]
      expect(sent).toHaveLength(attempts + 2)
      for (const {sourcePort} of sent) expect(sourcePort).not.toBe(67)
      expect(sent.map(({replay}) => replay)).toEqual(
        sent.map(({replay}) => replay).toSorted((a, b) => (a < b ? -1 : 1)),
      )
      expect(new Set(sent.map(({replay}) => replay)).size).toBe(attempts + 2)
      if (await hasProgram('tshark')) {
        const malformed = await runCommand('tshark', [
          '-r',
          pcap,
          '-Y',
          '_ws.malformed || dhcp.option.type == 9 && !dhcp',
          '-T',
          'fields',
          '-e',
          'frame.number',
        ])
        expect(malformed.trim()).toBe('')
      }
    })
  }, 120_000)

  it('works by UDP from off the segment, where the server tells what the client did', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      await SERVERS.dnsmasq.start(lab)
      await startDhcpcd(lab)
      const far = `${lab.server.namespace.slice(0, -2)}-c`
      try {
        await runCommand('ip', ['netns', 'add', far])
        const lines = [
          `link add far0 type veth peer name far0 netns ${far}`,
          'address add 10.60.0.1/24 dev far0',
          'link set far0 up',
        ]
        await runCommand('ip', ['-n', lab.server.namespace, '-batch', '-'], {input: `${lines.join('\n')}\n`})
        await runCommand('ip', ['-n', far, '-batch', '-'], {
          input: 'address add 10.60.0.2/24 dev far0\nlink set far0 up\nroute add default via 10.60.0.1\n',
        })
        const {stdout, stderr} = await tryCommand('ip', [
          'netns',
          'exec',
          far,
          process.execPath,
          CLI,
          'send-reconfigure',
          'web-07',
          '--json',
          '-f',
          lab.inventory,
        ])
        expect(JSON.parse(stdout || stderr)).toMatchObject({
          interface: null,
          exitCode: 0,
          clients: [{outcome: 'acted', router: GATEWAYS.rx.ip, toldBy: 'configured'}],
        })
      } finally {
        await tryCommand('ip', ['netns', 'del', far])
      }
    })
  }, 120_000)
})

describe.skipIf(missing !== undefined)(`the dhcp strategy${missing ? ` (${missing})` : ''}`, () => {
  it('begins nothing where the new gateway is another machine than the inventory says, and a dry run changes nothing', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      await SERVERS.dnsmasq.start(lab)
      await startDhcpcd(lab)
      const options = readFileSync(join(lab.dir, 'opts'), 'utf8')
      const dry = await switchTo(lab, '--dry-run')
      expect(dry.plan).toMatchObject({
        server: {server: 'dnsmasq'},
        triggers: [{kind: 'forcerenew'}],
        sourceIp: SERVER_IP,
      })
      expect(readFileSync(join(lab.dir, 'opts'), 'utf8')).toBe(options)

      const inventory = readFileSync(lab.inventory, 'utf8')
      writeFileSync(lab.inventory, inventory.replace(GATEWAYS.ry.mac, '02:00:00:00:0b:99'))
      const wrong = await switchTo(lab)
      expect(wrong).toMatchObject({end: 'not-begun', code: 'target-dead', rolledBack: false, exitCode: 3})
      expect(wrong.evidence[0]).toContain(`${GATEWAYS.ry.ip} is at ${GATEWAYS.ry.mac} here`)
      expect(await lab.router()).toBe(GATEWAYS.rx.ip)
      expect(readFileSync(join(lab.dir, 'opts'), 'utf8')).toBe(options)
    })
  }, 120_000)

  it('is taken back by the guard if it is killed half-way', async () => {
    await withDhcpLab('dnsmasq', async (lab) => {
      await SERVERS.dnsmasq.start(lab)
      await startDhcpcd(lab)
      // A nonce that is not the client's: the FORCERENEW is not obeyed, and the switch is still waiting when it dies.
      writeFileSync(join(lab.dir, 'nonces'), `${lab.client.mac} ${'00'.repeat(16)}\n`)
      const router = (): string | undefined =>
        /^tag:web-07,option:router,(.*)$/m.exec(textOf(join(lab.dir, 'opts')))?.[1]
      const child = lab.start(
        lab.server,
        'switch',
        process.execPath,
        CLI,
        'switch',
        'web-07',
        '--to',
        'y',
        '-i',
        lab.server.interface,
        '-f',
        lab.inventory,
      )
      await until(
        () => router() === GATEWAYS.ry.ip,
        () => lab.log('switch'),
      )
      child.kill('SIGKILL')
      await until(
        () => router() === GATEWAYS.rx.ip,
        () => lab.log('switch'),
      )
      expect(await lab.router()).toBe(GATEWAYS.rx.ip)
    })
  }, 120_000)
})

const noDhclient = noNamespaces ?? ((await hasProgram('dhclient')) ? undefined : 'dhclient is not installed')

describe.skipIf(noDhclient !== undefined)(`a switch by NAK${noDhclient ? ` (${noDhclient})` : ''}`, () => {
  it('that is stopped while it waits leaves no order behind: the next renewal is granted', async () => {
    await withDhcpLab(
      'gwswitch',
      async (lab) => {
        await startServer(lab, '--lease', '3600', '--t1', '20')
        await startDhclient(lab, false)
        const log = (): string => textOf(join(lab.dir, 'serve.log'))
        const grants = (): number => log().split('state=renewing').length - 1
        const renewed = async (): Promise<void> => {
          const before = grants()
          await until(() => grants() > before, log)
        }
        // Just renewed, there are some 20 s in which to order and to stop.
        await renewed()
        const flags = ['--to', 'y', '-i', lab.server.interface, '-f', lab.inventory, '--verbose']
        const child = lab.start(lab.server, 'switch', process.execPath, CLI, 'switch', 'web-07', ...flags)
        await until(
          () => textOf(join(lab.dir, 'switch.log')).includes('its next renewal gets a NAK'),
          () => lab.log('switch'),
        )
        child.kill('SIGINT')
        await until(
          () => child.exitCode !== null || child.signalCode !== null,
          () => lab.log('switch'),
        )
        await renewed()
        expect(log()).not.toContain('event=DHCPNAK')
        expect(await lab.router()).toBe(GATEWAYS.rx.ip)
      },
      {vm: ', dhcp: {client: dhclient}', segment: ', renewEvery: 20'},
    )
  }, 120_000)
})

async function switchTo(lab: DhcpLab, ...flags: string[]): Promise<SwitchDocument> {
  const {stdout, stderr} = await lab.gwswitch(
    'switch',
    'web-07',
    '--to',
    'y',
    '-i',
    lab.server.interface,
    '--json',
    ...flags,
  )
  return JSON.parse(stdout || `"${stderr}"`) as SwitchDocument
}

function forcerenews(file: string): {sourcePort: number; replay: bigint}[] {
  return parsePcap(readFileSync(file)).frames.flatMap(({bytes}) => {
    const frame = parseFrame(bytes)
    if (frame.kind !== 'udp' || frame.udp.destinationPort !== 68) return []
    const {options} = parseDhcp(frame.udp.payload)
    if (readOption(options, dhcpOptions.messageType) !== DHCPFORCERENEW) return []
    return [{sourcePort: frame.udp.sourcePort, replay: readOption(options, dhcpOptions.authentication)!.replay}]
  })
}
