// Entry point of the relay process: relay-main --wire IF-A,IF-B,DELAY-MS[,JITTER-MS[,LOSS]] ... [--wires JSON] [--counters FILE]

import {parseArgs} from 'node:util'
import {realTimePriority} from '../net/packet/relay-socket.ts'
import {printAtOnce, sayAtOnce} from '../net/process/say.ts'
import {type RelayWire, relay} from './relay.ts'

const QUEUE_BYTES = 64 << 20

function readWire(text: string): RelayWire {
  const [a = '', b = '', delay, jitter = '0', loss = '0'] = text.split(',')
  const rule = {match: 'any', delay: Number(delay), jitter: Number(jitter), loss: Number(loss)} as const
  if (a === '' || b === '' || ![rule.delay, rule.jitter, rule.loss].every((value) => value >= 0)) {
    throw new Error(`--wire ${text}: want IF-A,IF-B,DELAY-MS[,JITTER-MS[,LOSS]]`)
  }
  return {ends: [a, b], rules: [[rule], [rule]]}
}

const {values} = parseArgs({
  options: {
    wire: {type: 'string', multiple: true, default: []},
    wires: {type: 'string', default: '[]'},
    counters: {type: 'string'},
  },
})
try {
  realTimePriority()
  relay({
    // Written by the program that starts this one.
    wires: [...values.wire.map(readWire), ...(JSON.parse(values.wires) as RelayWire[])],
    queueBytes: QUEUE_BYTES,
    countersFile: values.counters,
    random: Math.random,
    onReady: () => printAtOnce('ready'),
  })
} catch (error) {
  sayAtOnce((error as Error).message)
  process.exitCode = 1
}
