// What `trace --passive` says on a terminal.
import type {NamedPassage, PassiveInbound, PassiveVerdict} from '../domain/passive/judge-traffic.ts'
import type {PassiveDocument, PassivePeer} from '../domain/passive/passive-report.ts'
import {fold} from './fold.ts'
import {ms} from './measures.ts'
import {type Paint, paintWith} from './paint.ts'
import {tableLines} from './table.ts'

const EGRESS: Readonly<Record<PassiveVerdict, string>> = {
  trombone: 'TROMBONE',
  none: 'no trombone',
  inconclusive: 'INCONCLUSIVE',
}
const INBOUND: Readonly<Record<PassiveInbound, string>> = {
  local: 'local',
  direct: 'direct',
  'inbound-trombone': 'TROMBONE',
  mixed: 'mixed',
  unknown: 'unknown',
  'nothing-seen': 'nothing seen',
}

/** What the reason of the verdict means, and what to do where that is not plain. */
const WHY: Readonly<Record<PassiveDocument['egress']['reason'], string>> = {
  detour: "out through another site's gateway, to what is near the VM's own site",
  'too-fast-for-dci': 'round trips are shorter than a way across the DCI',
  'destination-far': 'the peers are near the site of the gateway in use',
  'local-exit': "out through the own site's gateway (what lies behind it is not seen)",
  'slow-behind-local-exit': "out through the own site's gateway, yet as slow as a way across the DCI: trace it",
  'far-exit': "out through another site's gateway; where the peer is, or what that costs, is not seen: trace it",
  redirected:
    'to a gateway from which the bridge here redirects it to another one: where it leaves is not seen here: gwswitch who',
  'site-not-confirmed': 'only the inventory says where the VM is: confirm it with --site',
  'round-trip-contradicts':
    'the gateway is said to be far, and round trips are too short for that: check --site and dciRttMs',
  'site-unknown': "the VM's site is not known: say --site, and name the gateways in an inventory",
  'unknown-mac': 'through a MAC that is no gateway of the inventory, or that of several',
  mixed: 'through several gateways in turn',
  'nothing-sent': 'the VM sent nothing',
  'no-traffic': 'nothing went off the segment: listen longer',
}

/** Room that labels take before the text of a line. */
const LABEL = 11
/** Peers in the text; the JSON has all. */
const MOST_PEERS = 20

export function passiveText(document: PassiveDocument, colour: boolean, columns = 80): string[] {
  const paint = paintWith(colour)
  const {host, durationMs, frames, egress, inbound, peers} = document
  const label = host.name ?? host.mac
  const where = host.site === null ? '' : ` (site ${host.site})`
  const short = document.complete ? '' : ', ended early'
  return [
    `${label}${where} at ${host.iface}: ${(durationMs / 1000).toFixed(1)} s heard${short}, nothing sent; ${frames} frames`,
    '',
    `  EGRESS   ${painted(paint, egress.verdict)(EGRESS[egress.verdict])}  ${shareOf(egress)}`.trimEnd(),
    ...fold(WHY[egress.reason], columns - LABEL).map((line) => `${' '.repeat(LABEL)}${line}`),
    `  INBOUND  ${INBOUND[inbound.verdict]}${inbound.of === 0 ? '' : `  ${inbound.peers} of ${inbound.of} peers`}`,
    '',
    ...tableLines(peers.length === 0 ? [] : [HEAD, ...peers.slice(0, MOST_PEERS).map((peer) => row(peer, paint))], {
      indent: '  ',
      align: ['left', 'left', 'left', 'left', 'right', 'right'],
    }),
    ...remarks(document),
  ]
}

const HEAD = ['PEER', 'SITE', 'OUT THROUGH', 'IN THROUGH', 'TCP MS', 'FRAMES', '']

const shareOf = ({peers, of}: PassiveDocument['egress']): string => (of === 0 ? '' : `${peers} of ${of} peers`)

const painted = (paint: Paint, verdict: PassiveVerdict): ((text: string) => string) =>
  verdict === 'trombone' ? paint.bad : verdict === 'none' ? paint.good : paint.warn

function row(peer: PassivePeer, paint: Paint): string[] {
  const count = [...peer.out, ...peer.in].reduce((sum, {frames}) => sum + frames, 0)
  const tcp = peer.tcp === null ? '-' : ms(peer.tcp.minMs)
  const mark = peer.verdict === 'trombone' ? painted(paint, peer.verdict)(EGRESS[peer.verdict]) : peer.reason
  return [peer.ip, peer.site ?? '-', stations(peer.out), stations(peer.in), tcp, `${count}`, mark]
}

/** The busiest first, where there are several. */
const stations = (passages: readonly NamedPassage[]): string =>
  passages.length === 0
    ? '-'
    : passages
        .toSorted((a, b) => b.frames - a.frames)
        .map(({gateway, mac, site}) => (gateway === null ? mac : `${gateway}${site === null ? '' : ` (${site})`}`))
        .join(', ')

function remarks({peers, framesBeyond, dropped, egress, host}: PassiveDocument): string[] {
  const trombone = peers.find(({verdict}) => verdict === 'trombone')
  return [
    ...(peers.length > MOST_PEERS ? [`  and ${peers.length - MOST_PEERS} more peers: --json has all`] : []),
    ...(framesBeyond > 0 ? [`  ${framesBeyond} frames of further peers were not told apart`] : []),
    ...(dropped !== null && dropped > 0
      ? [`  ${dropped} frames came too fast to be seen: counts are short of them`]
      : []),
    ...peers.flatMap(({ip, changedAtMs}) =>
      changedAtMs === null
        ? []
        : [`  the gateway to ${ip} changed ${(changedAtMs / 1000).toFixed(1)} s after the start`],
    ),
    ...(egress.verdict === 'trombone' && trombone ? ['', ...advice(trombone, host)] : []),
  ]
}

/** Listening does not tell what the detour costs; a trace does. */
const advice = ({ip}: PassivePeer, {name, atPort}: PassiveDocument['host']): string[] =>
  atPort && name === null
    ? []
    : [`  next     gwswitch trace ${ip}${atPort ? ` --port-of ${name}` : ''}    what the detour costs`]
