// Flags that the `filter` commands share, and what they mean together.
import {Flags} from '@oclif/core'
import {whole} from './flags.ts'

export const filterFlags = {
  interface: Flags.string({
    char: 'i',
    helpValue: 'PORT',
    multiple: true,
    multipleNonGreedy: true,
    summary: 'inter-site port; repeat for several (default: "ports" of the segments in the inventory)',
  }),
  segment: Flags.string({
    helpValue: 'SEGMENT',
    multiple: true,
    multipleNonGreedy: true,
    summary: 'segment on these ports; repeat for several (default: all whose sites share a gateway address)',
  }),
  'inbound-moves': Flags.boolean({summary: 'inbound traffic moves to the new site in the same step as the VM'}),
  'keep-inbound': Flags.string({
    helpValue: 'VM',
    multiple: true,
    multipleNonGreedy: true,
    summary:
      'a VM that has left: the bridge answers ARP for it, so that the gateway here still finds it; those named are all of its segment (default: as it was; see filter keep)',
  }),
  'gateway-macs': Flags.boolean({
    summary: "drop all frames of and to the gateways' own MACs too (only where inbound moves)",
  }),
  observe: whole({
    helpValue: 'S',
    min: 1,
    max: 3600,
    summary: "first listen S seconds for the gateways' own addresses",
  }),
  force: Flags.boolean({summary: 'do it although it is known to cut traffic'}),
}

export const hookFlag = Flags.option({
  default: 'bridge',
  options: ['bridge', 'netdev'] as const,
  summary: 'where the rules hook in: the bridge, or the ports themselves (ingress and egress)',
})()

interface ParsedFilterFlags {
  readonly interface?: readonly string[] | undefined
  readonly segment?: readonly string[] | undefined
  readonly 'inbound-moves': boolean
  readonly 'keep-inbound'?: readonly string[] | undefined
  readonly 'gateway-macs': boolean
  readonly force: boolean
}

/** The flags as one order. */
export const filterOrder = (flags: ParsedFilterFlags) => ({
  ports: flags.interface ?? [],
  segments: flags.segment ?? [],
  inboundMoves: flags['inbound-moves'],
  gatewayMacs: flags['gateway-macs'],
  keepInbound: flags['keep-inbound'] ?? [],
  force: flags.force,
})
