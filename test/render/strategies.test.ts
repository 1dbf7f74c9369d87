import {describe, expect, it} from 'vitest'
import {measuredBy} from '../../src/domain/evaluation/measured.ts'
import {listingLines} from '../../src/render/listing.ts'
import {STRATEGY_COLUMNS, strategiesText} from '../../src/render/strategies-text.ts'
import {madeRun} from '../support/made-run.ts'

const {arp} = measuredBy(madeRun(), 'docs/evaluation')
const strategy = {
  ...{name: 'arp', summary: 'moves the entry', plugin: 'gwswitch', version: '0.1.0', controlledAt: 'router'},
  ...{layer: 'L2', gatewayIp: 'stays', sessions: 'kept', needs: 'a filter', measured: arp!},
}

describe('a strategy on a terminal', () => {
  it('has each form that was measured, with where that was', () => {
    const lines = strategiesText([strategy])
    expect(lines).toContain(
      '  measured: live migrations of a QEMU guest, 2026-01-02, gwswitch 0.1.0, Linux 6.18.0, docs/evaluation',
    )
    expect(lines.find((line) => line.startsWith('  arp.before-resume'))).toMatch(
      /^ {2}arp\.before-resume +5 +51 \[41–57\] +238 \[197–259\] +\+4\.2 \[−33 to \+43\] +0 +5\/5$/,
    )
  })

  it('says that nothing was measured where nothing was', () => {
    const lines = strategiesText([{...strategy, measured: null}])
    expect(lines.at(-1)).toBe('  switch time and interruption: not measured')
    const csv = listingLines([{...strategy, measured: null}], STRATEGY_COLUMNS, 'csv')
    expect(csv[1]).toMatch(/,,,not measured$/)
  })
})
