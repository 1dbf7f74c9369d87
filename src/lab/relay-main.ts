// Entry point of the relay process: relay-main --wire IF-A,IF-B,DELAY-MS[,JITTER-MS[,LOSS]] ... [--counters FILE]

import {parseArgs} from 'node:util'
import {realTimePriority} from '../net/packet/relay-socket.ts'
import {printAtOnce, sayAtOnce} from '../net/process/say.ts'
import {type RelayWire, relay} from './relay.ts'

const QUEUE_BYTES = 64 << 20

function readWire(text: string): RelayWire {
  const [a = '', b = '', delay, jitter = '0', loss = '0'] = text.split(',')
  const wire = {ends: [a, b] as const, delayMs: Number(delay), jitterMs: Number(jitter), loss: Number(loss)}
  if (a === '' || b === '' || ![wire.delayMs, wire.jitterMs, wire.loss].every((value) => value >= 0)) {
    throw new Error(`--wire ${text}: want IF-A,IF-B,DELAY-MS[,JITTER-MS[,LOSS]]`)
  }
  return wire
}

const {values} = parseArgs({
  options: {wire: {type: 'string', multiple: true, default: []}, counters: {type: 'string'}},
})
try {
  realTimePriority()
  relay({
    wires: values.wire.map(readWire),
    queueBytes: QUEUE_BYTES,
    countersFile: values.counters,
    random: Math.random,
    onReady: () => printAtOnce('ready'),
  })
} catch (error) {
  sayAtOnce((error as Error).message)
  process.exitCode = 1
}
