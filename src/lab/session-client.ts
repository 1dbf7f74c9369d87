// Entry point: session-client ADDRESS TCP-PORT UDP-PORT INTERVAL-MS. Sends numbered records on both and keeps the books
// on their echoes. Standard input takes one JSON order a line; the end of it ends the process.

import {createSocket} from 'node:dgram'
import {connect, type Socket} from 'node:net'
import {createInterface} from 'node:readline'
import {setTimeout as sleep} from 'node:timers/promises'
import {printJson} from '../net/process/say.ts'
import type {SessionOrder, SessionReport} from './session.ts'
import {flowBook, readRecord, type StreamCheck, streamCheck, writeRecord} from './session-record.ts'

const [address = '', tcpPort, udpPort, interval] = process.argv.slice(2)
const intervalMs = Number(interval)
/** How long the last records may take to come back once sending has stopped. */
const LAST_ECHO_MS = 3000
const LAST_DATAGRAM_MS = 500

const tcpBook = flowBook()
const udpBook = flowBook()
const seen = new Set<number>()
let duplicated = 0
let sequence = 0
let reconnects = 0
let missing = 0
let brokenAt: number | undefined
let stopping = false
let timer: NodeJS.Timeout | undefined

const clock = (): number => performance.now()

/** One TCP connection: the stream must come back as it went, from the record it started with. */
interface Connection {
  readonly socket: Socket
  readonly check: StreamCheck
  next: number
}

function open(): Connection {
  const check = streamCheck(sequence)
  const made: Connection = {
    socket: connect({host: address, port: Number(tcpPort), noDelay: true}),
    check,
    next: sequence,
  }
  made.socket.on('data', (chunk: Buffer) => {
    const now = clock()
    for (const record of check.take(chunk)) {
      made.next = record.sequence + 1
      tcpBook.echoed(record.sentMs, now)
    }
    brokenAt ??= check.brokenAt()
  })
  made.socket.on('error', () => {})
  made.socket.on('close', () => {
    if (stopping) return
    missing += sequence - made.next
    reconnects++
    setTimeout(() => {
      connection = open()
    }, intervalMs)
  })
  return made
}

const udp = createSocket('udp4')
udp.on('message', (message) => {
  const record = readRecord(message)
  if (!record) return
  if (seen.has(record.sequence)) {
    duplicated++
    return
  }
  seen.add(record.sequence)
  udpBook.echoed(record.sentMs, clock())
})

let connection = open()
connection.socket.once('connect', () => {
  printJson({connected: true})
  timer = setInterval(tick, intervalMs)
})
function tick(): void {
  const record = writeRecord(sequence, clock())
  if (!connection.socket.writable) return
  sequence++
  connection.socket.write(record)
  udp.send(record, Number(udpPort), address, () => {})
  tcpBook.sent()
  udpBook.sent()
}

function report(): SessionReport {
  const now = clock()
  const tcp = tcpBook.report(now)
  const udpFlow = udpBook.report(now)
  return {
    intervalMs,
    tcp: {...tcp, contiguous: brokenAt === undefined && missing === 0, brokenAt, reconnects},
    udp: {...udpFlow, duplicated},
  }
}

/** Stops sending, gives the records under way time to come back, and reports. */
async function finish(): Promise<SessionReport> {
  clearInterval(timer)
  // A datagram that is lost never comes back, and waiting for it is no gap; a stream that does not come back is one.
  udpBook.ended(clock())
  const until = clock() + LAST_ECHO_MS
  while (clock() < until && tcpBook.report(clock()).echoed < sequence) await sleep(10)
  tcpBook.ended(clock())
  // Datagrams get as long as a round trip may take, no longer.
  const last = Math.min(until, clock() + LAST_DATAGRAM_MS)
  while (clock() < last && udpBook.report(clock()).echoed < udpBook.report(clock()).sent) await sleep(10)
  stopping = true
  return report()
}

async function obey(order: SessionOrder): Promise<void> {
  if (order.do === 'mark') {
    const now = clock()
    tcpBook.mark(order.phase, now)
    udpBook.mark(order.phase, now)
    printJson({})
  } else printJson(order.do === 'finish' ? await finish() : report())
}

const orders = createInterface({input: process.stdin})
orders.on('line', (line) => void obey(JSON.parse(line) as SessionOrder))
orders.on('close', () => process.exit(0))
