// What a site's controller counts, for Prometheus.
import {counted, gauge, prometheusText} from '../../domain/prometheus.ts'
import type {NoteCounts} from './notes.ts'

export interface SiteFigures {
  readonly site: string
  readonly segment: string
  readonly beacons: number
  readonly notes: NoteCounts
  readonly switches: Readonly<Record<string, number>>
}

/** In the text format of its exposition. */
export function siteMetrics({site, segment, beacons, notes, switches}: SiteFigures): string {
  const notActedOn = Object.values(notes.refused).reduce((sum, count) => sum + count, 0)
  return prometheusText([
    gauge('gwswitch_site_info', 'The site and the segment that this controller serves.', 1, {site, segment}),
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
    counted('gwswitch_site_switches_total', 'Switches that notes led to, by their outcome.', 'outcome', switches),
  ])
}
