// What the service of a site counts, for Prometheus.
import {counted, gauge, type Metric, prometheusText} from '../../domain/prometheus.ts'
import type {FuseState} from './dispatcher.ts'
import type {FilterSight} from './filter-sight.ts'
import type {NoteCounts} from './notes.ts'
import type {MovementCount} from './orders.ts'
import type {GatewayState} from './standby.ts'

/** Of the parts beside beacons and notes. */
export interface ServiceFigures {
  readonly movements: readonly MovementCount[]
  readonly fuse: FuseState
  readonly gateways: readonly GatewayState[]
  readonly filter: FilterSight | undefined
  readonly plans: number
  readonly waiting: number
  readonly running: number
}

export interface SiteFigures {
  readonly site: string
  /** Of beacons and notes. */
  readonly segment: string | undefined
  readonly beacons: number
  readonly notes: NoteCounts
  readonly switches: Readonly<Record<string, number>>
  readonly service: ServiceFigures | undefined
}

/** In the text format of its exposition. */
export function siteMetrics({site, segment, beacons, notes, switches, service}: SiteFigures): string {
  const notActedOn = Object.values(notes.refused).reduce((sum, count) => sum + count, 0)
  const labels = {site, ...(segment !== undefined && {segment})}
  return prometheusText([
    gauge('gwswitch_site_info', 'The site, and the segment of its beacons, that this controller serves.', 1, labels),
    {
      ...{name: 'gwswitch_site_beacons_total', help: 'Beacons that were sent.', type: 'counter'},
      samples: [{value: beacons}],
    },
    counted('gwswitch_site_notes_total', 'Notes of known VMs, by what became of them.', 'outcome', {
      ...notes.refused,
      acted_on: notes.valid - notActedOn,
    }),
    counted(
      'gwswitch_site_dropped_messages_total',
      'Messages that were not looked at, by reason.',
      'reason',
      notes.silent,
    ),
    counted('gwswitch_site_switches_total', 'Switches, by their outcome.', 'outcome', switches),
    ...(service ? serviceMetrics(service) : []),
  ])
}

const serviceMetrics = ({movements, fuse, gateways, filter, plans, waiting, running}: ServiceFigures): Metric[] => [
  {
    ...{name: 'gwswitch_site_movements_total', help: 'News of VMs, by who told it and what was made of it.'},
    type: 'counter',
    samples: movements.map(({source, kind, said, count}) => ({labels: {source, kind, said}, value: count})),
  },
  gauge('gwswitch_site_fuse_blown', 'Whether switching has stopped because switches failed.', Number(fuse.blown)),
  {
    ...{name: 'gwswitch_site_gateway_serves', help: 'Whether a gateway of the site served when it was last asked.'},
    type: 'gauge',
    samples: gateways
      .filter(({state}) => state !== 'unknown')
      .map(({segment, gateway, state}) => ({labels: {segment, gateway}, value: Number(state === 'serves')})),
  },
  ...(filter ? filterMetrics(filter) : []),
  gauge('gwswitch_site_plans_ready', 'Plans of VMs that are laid ready.', plans),
  gauge('gwswitch_site_switches_waiting', 'Switches that wait for their turn.', waiting),
  gauge('gwswitch_site_switches_running', 'Switches that are under way.', running),
]

/** Of what cannot be looked at nothing is told. */
const filterMetrics = ({state, filters, orphans}: FilterSight): Metric[] => [
  {
    ...{
      name: 'gwswitch_site_filter_as_meant',
      help: 'Whether the filter of a segment stood as meant at the last look.',
    },
    type: 'gauge',
    samples: filters.map((each) => ({
      labels: {segment: each.segment, ports: each.ports.join(',')},
      value: Number(each.state === 'as-meant'),
    })),
  },
  ...(state === 'unknown'
    ? []
    : [gauge('gwswitch_site_filter_orphans', 'What stands on this host for filters that do not.', orphans)]),
]
