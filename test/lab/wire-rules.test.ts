import {describe, expect, it} from 'vitest'
import {type FrameKind, frameKind, plainRule, ruleDelay} from '../../src/lab/wire-rules.ts'
import {arpFrame, icmpFrame, tcpFrame} from '../../src/wire/frames.ts'
import {parseQuoted} from '../../src/wire/quote.ts'
import {seeded} from '../domain/trace/evidence-maker.ts'

const MACS = {destination: '02:00:00:00:00:01', source: '02:00:00:00:00:02'}
const IPS = {source: '10.0.0.1', destination: '10.0.0.2'}
const echo = (kind: 'echo-request' | 'echo-reply') =>
  icmpFrame(MACS, IPS, {kind, identifier: 1, sequence: 1, payload: new Uint8Array(8)})

describe('frameKind', () => {
  it.each<[FrameKind, Uint8Array]>([
    ['echo-request', echo('echo-request')],
    ['echo-reply', echo('echo-reply')],
    [
      'time-exceeded',
      icmpFrame(MACS, IPS, {kind: 'time-exceeded', code: 0, quoted: parseQuoted(echo('echo-reply')), extensions: []}),
    ],
    [
      'tcp',
      tcpFrame(MACS, IPS, {
        ...{sourcePort: 1, destinationPort: 2, sequence: 1, acknowledgment: 0, flags: 2, window: 1, urgentPointer: 0},
        ...{options: new Uint8Array(), payload: new Uint8Array()},
      }),
    ],
    [
      'arp',
      arpFrame(MACS, {
        ...{operation: 1, senderMac: MACS.source, senderIp: IPS.source},
        ...{targetMac: MACS.destination, targetIp: IPS.destination},
      }),
    ],
    ['any', new Uint8Array(60)],
  ])('%s', (kind, frame) => {
    expect(frameKind(frame, 0, frame.length)).toBe(kind)
    expect(frameKind(new Uint8Array([...Array(10), ...frame]), 10, frame.length)).toBe(kind)
  })
})

describe('ruleDelay', () => {
  const sample = (over: object, n = 4000): number[] => {
    let now = 1000
    const delay = ruleDelay({...plainRule(10), ...over}, seeded(1), () => (now += 10))
    return Array.from({length: n}, delay)
  }
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

  it('is the delay, plus jitter of that mean', () => {
    expect(new Set(sample({}))).toEqual(new Set([10]))
    expect(mean(sample({jitter: 5}))).toBeCloseTo(15, 0)
    expect(Math.min(...sample({jitter: 5}))).toBeGreaterThanOrEqual(10)
  })

  it('loses its share', () => {
    expect(sample({loss: 0.3}).filter((each) => each < 0).length / 4000).toBeCloseTo(0.3, 1)
  })

  it('has a queue that comes and goes', () => {
    const delays = sample({burst: {on: 1, off: 3, delay: 40}})
    const loaded = delays.filter((each) => each > 10)
    expect(Math.min(...loaded)).toBeGreaterThanOrEqual(30)
    expect(Math.max(...loaded)).toBeLessThanOrEqual(50)
    expect(loaded.length / delays.length).toBeGreaterThan(0.1)
    expect(loaded.length / delays.length).toBeLessThan(0.5)
  })
})
