import fc from 'fast-check'
import {expect, it} from 'vitest'
import {counted, gauge, prometheusText} from '../../src/domain/prometheus.ts'
import {readMetrics} from '../support/prometheus.ts'

it('metrics are what Prometheus reads, whatever their labels say', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.nat()), (counts) => {
      const text = prometheusText([
        gauge('a_seconds', 'A "help" \\ of\ntwo lines.', 0.5),
        counted('b_total', 'b', 'why', counts),
      ])
      expect([...readMetrics(text).values()]).toEqual([0.5, ...Object.values(counts)])
    }),
  )
  expect(prometheusText([gauge('a', 'a', 1, {vm: 'a"b\\c\nd'})])).toBe(
    '# HELP a a\n# TYPE a gauge\na{vm="a\\"b\\\\c\\nd"} 1\n',
  )
})
