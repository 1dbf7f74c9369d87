// What `send-reconfigure` says afterwards: the JSON document gwswitch.send-reconfigure/1, and the same for people.

import {EXIT} from '../../errors.ts'
import {tableLines} from '../../render/table.ts'
import {hexDump} from '../../render/timeline.ts'
import type {Outcome} from '../../strategies/dhcp/reconfigure.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {adviceFor, adviceFor6, adviceForFlap} from './advice.ts'
import type {ReportRow} from './row.ts'

export const UNAUTHENTICATED =
  'unauthenticated: only clients that were told not to check (dhcpcd: noauthrequired) obey, and anybody on their LAN can then ' +
  'make them renew and, by winning the race for the ACK, give them his own gateway and DNS (CVE-2020-13529): isolated LANs only'

/** What is sent, by DHCPv4 or by DHCPv6; or done instead. */
export type ReconfigureMessage = 'FORCERENEW' | 'Reconfigure' | 'link flap'

/** A frame (or, off the segment, a message) of a dry run. */
export interface ReconfigureFrame {
  readonly client: string
  readonly ip: Ipv4
  readonly mac: Mac
  readonly message: ReconfigureMessage
  readonly xid: string
  readonly authenticated: boolean
  readonly source: string
  readonly layer: 'ethernet' | 'dhcp'
  readonly hex: string
}

export interface ReconfigureRow {
  readonly client: string
  readonly ip: Ipv4
  readonly mac: Mac
  readonly outcome: Outcome | 'skipped'
  readonly router: Ipv4 | null
  readonly attempts: number
  /** From the last FORCERENEW, or from when its link was up again, to the client's REQUEST and to the ACK (DHCPv6: the Reply), ms. */
  readonly requestMs: number | null
  readonly ackMs: number | null
  /**
   * Who told of the ACK: a frame, or the server (then its time is that of asking); `configured`: the server, and `router` is
   * what it is configured to give.
   */
  readonly toldBy: 'wire' | 'server' | 'configured' | null
  readonly kind: string | null
  /** It sent option 145. */
  readonly canListen: boolean | null
  readonly advice: string | null
}

export interface ReconfigureDocument {
  readonly schema: 'gwswitch.send-reconfigure/1'
  readonly message: ReconfigureMessage
  /** Null: sent as datagrams through the routing table. */
  readonly interface: string | null
  readonly dryRun: boolean
  /** Of a dry run: those that would be skipped. */
  readonly clients: readonly ReconfigureRow[]
  readonly frames: readonly ReconfigureFrame[]
  readonly warnings: readonly string[]
  /** Of a dry run with --trigger carrier: what would be done, and what that costs. */
  readonly link?: string
  readonly exitCode: number
}

interface Result {
  readonly link?: string
  readonly message: ReconfigureMessage
  readonly interfaceName: string | undefined
  readonly dryRun: boolean
  readonly router: Ipv4 | undefined
  readonly rows: readonly ReportRow[]
  readonly frames: readonly ReconfigureFrame[]
  readonly warnings: readonly string[]
}

export function reconfigureDocument(result: Result): ReconfigureDocument {
  const {message, interfaceName, dryRun, rows, frames, warnings, link} = result
  return {
    schema: 'gwswitch.send-reconfigure/1',
    message,
    interface: interfaceName ?? null,
    dryRun,
    clients: rows.map((row) => rowOf(row, message)),
    frames,
    warnings,
    ...(link !== undefined && {link}),
    exitCode: exitOf(rows.map(({outcome}) => outcome)),
  }
}

function rowOf(row: ReportRow, message: ReconfigureMessage): ReconfigureRow {
  const ran = row.outcome === 'skipped' ? undefined : row
  const {client, outcome, traits} = row
  return {
    client: client.name,
    ip: client.ip,
    mac: client.mac,
    outcome,
    router: ran?.router ?? null,
    attempts: ran?.attempts ?? 0,
    requestMs: ran?.requestMs ?? null,
    ackMs: ran?.ackMs ?? null,
    toldBy: ran?.toldBy ?? null,
    kind: traits.kind ?? null,
    canListen: traits.canListen ?? null,
    advice: adviceOf(row, message) ?? null,
  }
}

function adviceOf(row: ReportRow, message: ReconfigureMessage): string | undefined {
  if (row.outcome === 'skipped') return row.reason
  return {FORCERENEW: adviceFor, Reconfigure: adviceFor6, 'link flap': adviceForFlap}[message](row)
}

/** A client that said no outweighs one that said nothing. */
function exitOf(outcomes: readonly ReportRow['outcome'][]): number {
  if (outcomes.some((outcome) => ['refused', 'unreachable', 'skipped'].includes(outcome))) return EXIT.refused
  return outcomes.some((outcome) => outcome !== 'acted') ? EXIT.silent : 0
}

/** The document as lines for a terminal: one row a client, then what to do about those that did not act. */
export function reconfigureText(document: ReconfigureDocument): string[] {
  const {clients, frames, message} = document
  if (document.link !== undefined) return [document.link]
  if (clients.length + frames.length === 0) return ['no client has a lease: nothing to send']
  if (document.dryRun) return [...frames.flatMap(frameText), ...clients.map(skippedText)]
  const rows = clients.map((row) => [
    row.outcome.toUpperCase(),
    row.client === row.ip ? row.ip : `${row.client} (${row.ip})`,
    row.mac,
    row.kind ?? '',
    wordsFor(row, message),
  ])
  const acted = clients.filter(({outcome}) => outcome === 'acted').length
  const advice = clients.flatMap(({client, advice: text}) => (text === null ? [] : [`  ${client}: ${text}`]))
  return [
    ...tableLines(rows),
    ...(advice.length > 0 ? ['', ...advice] : []),
    ...(clients.length > 1 ? ['', `${acted} of ${clients.length} clients acted`] : []),
  ]
}

function wordsFor(row: ReconfigureRow, message: ReconfigureMessage): string {
  const {outcome, router, ackMs, requestMs, toldBy, attempts} = row
  const answer = message === 'Reconfigure' ? 'Reply' : 'ACK'
  switch (outcome) {
    case 'acted': {
      const when =
        toldBy === 'wire'
          ? `${answer} ${ackMs!.toFixed(1)} ms after the ${message}`
          : `its server tells so, within ${ackMs!.toFixed(0)} ms`
      const what = toldBy === 'configured' ? `renewed; its server is configured to give ${router}` : `router ${router}`
      return `${router === null ? 'renewed' : what}, ${when}${attempts > 1 ? ` (attempt ${attempts})` : ''}`
    }
    case 'refused':
      return ackMs === null
        ? 'the server answered its REQUEST with a NAK'
        : `renewed, but ${toldBy === 'configured' ? 'its server is configured to give' : 'the ACK gives'} ${router === null ? 'no router' : `router ${router}`}`
    case 'unanswered':
      return `asked ${requestMs!.toFixed(1)} ms after the ${message}, and no server answered`
    case 'unreachable':
      return 'port 68 unreachable: no listener'
    case 'silent':
      return `nothing after ${attempts === 1 ? `one ${message}` : `${attempts} ${message}s`}`
    case 'skipped':
      return 'nothing sent'
  }
}

const skippedText = ({client, ip, mac, advice}: ReconfigureRow): string =>
  `would send ${client} (${ip}, ${mac}) nothing: ${advice}`

function frameText({client, ip, mac, message, xid, authenticated, source, layer, hex}: ReconfigureFrame): string[] {
  const signed = authenticated ? '' : ', not signed'
  const known = message === 'FORCERENEW' ? `xid ${xid} from ${source}` : `its key from ${source}`
  return [
    `would send ${client} (${ip}, ${mac}) a ${message}${signed}, ${known}${layer === 'dhcp' ? ', by UDP to port 68' : ''}`,
    ...hexDump(Buffer.from(hex, 'hex')),
    '',
  ]
}
