import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import type {ReconfigureDocument} from '../../src/orders/reconfigure/reconfigure-report.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import {guestTrigger} from '../../src/strategies/dhcp/triggers.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {
  type Noticed,
  startDhclient,
  startGuest,
  startNetworkd,
  startNetworkManager,
  startServer,
  startUdhcpc,
  watchClient,
} from './dhcp-clients.ts'
import {type DhcpLab, GATEWAYS, textOf, until, VM_IP, withDhcpLab} from './dhcp-lab.ts'
import {startDhcpcd} from './dhcp-servers.ts'

interface Case {
  readonly title: string
  readonly program: string
  /** More of the VM's inventory entry, and of the segment's `dhcp`. */
  readonly vm: string
  readonly segment: string
  readonly serve: readonly string[]
  start(lab: DhcpLab): Promise<void>
  /** What the client does at a FORCERENEW. */
  readonly forcerenew: {readonly outcome: string; readonly exitCode: number}
  /** The trigger that the strategy chooses first. */
  readonly trigger: string
  /** It loses its address for a moment. */
  readonly losesAddress: boolean
}

const POLLING = ['--lease', '3600', '--t1', '8']
/** Runs that may meet a renewal before it counts as obeying: each listens for 1 s of the 8. */
const RUNS = 8
const silent = {outcome: 'silent', exitCode: 5}

const CASES: readonly Case[] = [
  {
    title: 'dhcpcd',
    program: 'dhcpcd',
    vm: '',
    segment: '',
    serve: [],
    start: startDhcpcd,
    forcerenew: {outcome: 'acted', exitCode: 0},
    trigger: 'forcerenew',
    losesAddress: false,
  },
  // It takes no T1: it asks after half of the lease, and takes no lease below 30 s.
  {
    title: 'udhcpc',
    program: '/etc/udhcpc/default.script',
    vm: '',
    segment: ', renewEvery: 15',
    serve: ['--lease', '30'],
    start: startUdhcpc,
    forcerenew: {outcome: 'unreachable', exitCode: 4},
    trigger: 'wait',
    losesAddress: false,
  },
  {
    title: 'udhcpc, renewed through its guest agent',
    program: 'qemu-ga',
    vm: ', dhcp: {client: udhcpc, guestAgent: $DIR/qga}',
    segment: '',
    serve: [],
    start: (lab) => startGuest(lab),
    forcerenew: {outcome: 'unreachable', exitCode: 4},
    trigger: 'guest-agent',
    losesAddress: false,
  },
  {
    title: 'dhclient as it comes',
    program: 'dhclient',
    vm: ', dhcp: {client: dhclient}',
    segment: ', renewEvery: 8',
    serve: POLLING,
    start: (lab) => startDhclient(lab, false),
    forcerenew: silent,
    trigger: 'nak',
    losesAddress: true,
  },
  {
    title: 'dhclient with the exit hook',
    program: 'dhclient',
    vm: ', dhcp: {client: dhclient-hook}',
    segment: ', renewEvery: 8',
    serve: POLLING,
    start: (lab) => startDhclient(lab, true),
    forcerenew: silent,
    trigger: 'wait',
    losesAddress: false,
  },
  {
    title: 'systemd-networkd',
    program: '/lib/systemd/systemd-networkd',
    vm: ', dhcp: {client: networkd}',
    segment: '',
    serve: POLLING,
    start: startNetworkd,
    forcerenew: silent,
    trigger: 'wait',
    losesAddress: false,
  },
  {
    title: 'NetworkManager',
    program: 'NetworkManager',
    vm: ', dhcp: {client: networkmanager}',
    segment: ', renewEvery: 8',
    serve: POLLING,
    start: startNetworkManager,
    forcerenew: {outcome: 'unreachable', exitCode: 4},
    trigger: 'wait',
    losesAddress: false,
  },
]

for (const each of CASES) {
  const missing = noNamespaces ?? ((await hasProgram(each.program)) ? undefined : `${each.program} is not installed`)

  describe.skipIf(missing !== undefined)(`${each.title}${missing ? ` (${missing})` : ''}`, () => {
    it('does at a FORCERENEW what the table says, follows a switch, and breaks no session', async () => {
      await withDhcpLab(
        'gwswitch',
        async (lab) => {
          await startServer(lab, ...each.serve)
          await each.start(lab)
          expect(await lab.router()).toBe(GATEWAYS.rx.ip)
          const watch = await watchClient(lab)

          let told = await forcerenew(lab, each.trigger === 'forcerenew')
          // One that polls may renew by itself just then, and again where the next run is slow to begin; one that obeys
          // would do so every time.
          for (let run = 1; each.serve === POLLING && told.exitCode === 0 && run < RUNS; run++)
            told = await forcerenew(lab, false)
          expect(told).toMatchObject({
            exitCode: each.forcerenew.exitCode,
            clients: [{outcome: each.forcerenew.outcome}],
          })

          const {stdout, stderr} = await lab.gwswitch(
            'switch',
            'web-07',
            '--to',
            'y',
            '-i',
            lab.server.interface,
            '--json',
          )
          const document = JSON.parse(stdout || `"${stderr}"`) as SwitchDocument
          const said = `${document.code}: ${document.evidence?.join('; ')}\n${JSON.stringify(document.steps)}`
          expect(document, `${stderr}${said}\n${textOf(join(lab.dir, 'serve.log'))}`).toMatchObject({
            verified: true,
            rolledBack: false,
            plan: {triggers: [{kind: each.trigger}]},
          })
          expect(document.evidence.join()).toContain('leaves through ry')
          expect(await lab.router()).toBe(GATEWAYS.ry.ip)

          const noticed = await watch.stop()
          expect(noticed.addressGone.length > 0).toBe(each.losesAddress)
          expect(noticed.session.tcp).toMatchObject({contiguous: true, reconnects: 0})
          process.stdout.write(`${line(each.title, told, document, noticed)}\n`)
        },
        {vm: each.vm, segment: each.segment},
      )
    }, 120_000)
  })
}

const noGuest =
  noNamespaces ??
  ((await hasProgram('qemu-ga')) && (await hasProgram('dhcpcd'))
    ? undefined
    : 'qemu-ga and dhcpcd are not both installed')

describe.skipIf(noGuest !== undefined)(`dhcpcd behind a guest agent${noGuest ? ` (${noGuest})` : ''}`, () => {
  it('renews inside when told to', async () => {
    await withDhcpLab('gwswitch', async (lab) => {
      await startServer(lab)
      await startGuest(lab, 'dhcpcd')
      const acks = (): number => textOf(join(lab.dir, 'serve.log')).split('event=DHCPACK').length - 1
      const before = acks()
      const trigger = guestTrigger(join(lab.dir, 'qga'), {now: () => 0n}, 10_000, new AbortController().signal)
      // Just bound, it may still be busy announcing itself.
      await until(
        async () => {
          expect(await trigger.fire({name: 'web-07', ip: VM_IP, mac: lab.client.mac})).toMatchObject({
            text: 'renewed inside, through the guest agent (dhcpcd)',
          })
          return acks() > before
        },
        () => textOf(join(lab.dir, 'serve.log')) + lab.log('guest'),
      )
      await expect(trigger.fire({name: 'web-07', ip: VM_IP, mac: '02:00:00:00:00:99'})).rejects.toThrow(
        'in web-07: no interface has 02:00:00:00:00:99',
      )
    })
  }, 120_000)
})

async function forcerenew(lab: DhcpLab, signed: boolean): Promise<ReconfigureDocument> {
  // Who takes no nonce has none: what it does is seen with an unsigned one.
  const flags = signed ? [] : ['--unauthenticated', '--attempts', '1']
  const {stdout, stderr} = await lab.gwswitch(
    'send-reconfigure',
    'web-07',
    '-i',
    lab.server.interface,
    '--json',
    ...flags,
  )
  return JSON.parse(stdout || `"${stderr}"`) as ReconfigureDocument
}

/** The row of docs/dhcp-clients.md. */
function line(
  title: string,
  told: ReconfigureDocument,
  document: SwitchDocument,
  {addressGone, routeGaps, session}: Noticed,
): string {
  const ms = (values: readonly number[]): string =>
    values.length === 0 ? 'none' : values.map((value) => `${value.toFixed(1)} ms`).join(', ')
  const execute = document.steps.find(({step}) => step === 'execute')!
  const {requestMs, ackMs, outcome} = told.clients[0]!
  return [
    `| ${title}`,
    outcome + (ackMs === null ? '' : ` (REQUEST ${requestMs?.toFixed(1)} ms, ACK ${ackMs.toFixed(1)} ms)`),
    `switch ${(execute.durationMs / 1000).toFixed(1)} s`,
    `address gone: ${ms(addressGone)}`,
    `no default route: ${ms(routeGaps)}`,
    `TCP longest gap ${session.tcp.longestGapMs.toFixed(0)} ms |`,
  ].join(' | ')
}
