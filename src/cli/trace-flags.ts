// The flags of `gwswitch trace`.
import {Flags} from '@oclif/core'
import {decimal, pcapFlag, whole} from './flags.ts'

export const traceFlags = {
  interface: Flags.string({char: 'i', helpValue: 'IF', summary: "interface to probe from (default: the route's)"}),
  source: Flags.string({helpValue: 'IP', summary: "address of this host to probe from (default: the route's)"}),
  mark: whole({helpValue: 'FWMARK', max: 0xffff_ffff, summary: 'trace what packets with this fwmark do (ip rule)'}),
  destinations: Flags.string({helpValue: 'FILE', summary: 'file with more destinations, one a line'}),
  via: Flags.string({
    helpValue: 'GATEWAY',
    multiple: true,
    multipleNonGreedy: true,
    summary: 'gateway to compare with: inventory name, IP, or IP=MAC (default: all others of the segment)',
  }),
  site: Flags.string({helpValue: 'SITE', summary: 'the site this host is in (default: measured)'}),
  proto: Flags.option({
    default: 'auto',
    options: ['auto', 'icmp', 'tcp', 'udp'] as const,
    summary: 'what the probes are; auto: echoes, TCP SYN where those are not answered, then UDP',
  })(),
  port: whole({
    helpValue: 'NUMBER',
    min: 1,
    max: 65_535,
    summary: 'destination port of TCP and UDP probes (default: one that nobody uses)',
  }),
  rate: whole({
    default: 25,
    helpValue: 'N',
    min: 1,
    max: 1000,
    summary: 'most packets a second, over all destinations and gateways',
  }),
  pairs: whole({
    default: 60,
    helpValue: 'N',
    min: 9,
    max: 10_000,
    summary: 'most pairs to send; it ends as soon as it knows, after 9 where all is calm',
  }),
  flows: whole({default: 4, helpValue: 'N', min: 1, max: 64, summary: 'flows to spread the pairs over'}),
  interval: whole({helpValue: 'MS', min: 20, max: 60_000, summary: 'mean ms between pairs (default: 75, then 200)'}),
  timeout: whole({default: 1000, helpValue: 'MS', min: 10, max: 10_000, summary: 'ms an answer may take'}),
  'min-penalty': decimal({
    above: 0,
    helpValue: 'MS',
    summary: 'smallest penalty that counts (default: half the DCI round trip)',
  }),
  'fail-on': Flags.option({options: ['inbound'] as const, summary: 'let an inbound trombone count as one'})(),
  watch: Flags.boolean({
    exclusive: ['compare', 'passive', 'svg'],
    summary: 'trace on and on, until Ctrl-C, and judge the last seconds: a live view; JSON Lines with --json',
  }),
  compare: Flags.string({
    helpValue: 'FILE',
    summary: 'an earlier --json document: has it got worse since? (exit 10 if so)',
  }),
  passive: whole({
    exclusive: [
      'compare',
      'watch',
      'destinations',
      'via',
      'source',
      'mark',
      'port',
      'interval',
      'min-penalty',
      'fail-on',
      'svg',
    ],
    helpValue: 'SECONDS',
    min: 1,
    max: 86_400,
    summary: 'send nothing: listen, and tell the gateways and TCP round trips of the traffic that there is',
  }),
  'port-of': Flags.string({
    exclusive: ['source', 'mark'],
    helpValue: 'VM',
    summary: "on the VM's hypervisor, at its bridge port, in its place: inventory name or address, or IP=MAC",
  }),
  svg: Flags.string({helpValue: 'FILE', summary: 'draw hops, pairs and verdicts, for a ticket'}),
  pcap: pcapFlag,
}
