// What a VM does while its gateway changes: traffic server | traffic client SERVER [quiet].
//
// The client keeps a TCP session open (a line every 20 ms), sends a UDP datagram every ms (not if `quiet`), and on `new` opens
// another session. The server says with every line from where it sees the session come. `stop` ends the client with a report
// in JSON.
import {createSocket} from 'node:dgram'
import {connect, createServer} from 'node:net'
import {createInterface} from 'node:readline'

const TCP = 7000
const UDP = 7001
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`)
const [role, host = '', quiet] = process.argv.slice(2)

if (role === 'server') serve()
else visit(host)

function serve(): void {
  createServer((stream) => {
    stream.on('error', () => {})
    createInterface({input: stream}).on('line', (line) =>
      stream.write(`${stream.remoteAddress?.replace('::ffff:', '')} ${line}\n`),
    )
  }).listen(TCP, () => say('ready'))
  // So that nobody answers with port unreachable.
  createSocket({type: 'udp6'})
    .bind(UDP)
    .on('message', () => {})
}

function visit(server: string): void {
  const errors: Record<string, number> = {}
  const count = (error: NodeJS.ErrnoException | null): void => {
    if (error) errors[error.code ?? ''] = (errors[error.code ?? ''] ?? 0) + 1
  }
  const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4')
  socket.on('error', () => {})
  let sequence = 0
  const start = performance.now()
  const send = (): void => {
    // As many as are due: a timer is late on a busy machine.
    for (; sequence < performance.now() - start; sequence++) {
      const bytes = Buffer.alloc(64)
      bytes.writeUInt32BE(sequence, 0)
      socket.send(bytes, UDP, server, count)
    }
  }
  const session = {echoes: 0, from: '', last: performance.now(), longestGapMs: 0, error: ''}
  const stream = connect(TCP, server)
  stream.on('error', (error: NodeJS.ErrnoException) => (session.error = error.code ?? ''))
  createInterface({input: stream}).on('line', (line) => {
    const now = performance.now()
    session.longestGapMs = Math.max(session.longestGapMs, now - session.last)
    Object.assign(session, {echoes: session.echoes + 1, last: now, from: line.split(' ')[0]})
  })
  const timers: NodeJS.Timeout[] = []
  stream.once('connect', () => {
    session.last = performance.now()
    if (quiet === undefined) timers.push(setInterval(send, 1))
    timers.push(setInterval(() => stream.writable && stream.write('x\n'), 20))
    say('ready')
  })
  createInterface({input: process.stdin}).on('line', (line) => {
    if (line === 'new') another(server)
    else if (line === 'look') say({...session, sinceMs: performance.now() - session.last})
    else {
      for (const timer of timers) clearInterval(timer)
      setTimeout(() => {
        say({session, sent: sequence, errors})
        process.exit(0)
      }, 300)
    }
  })
}

function another(server: string): void {
  const stream = connect(TCP, server, () => stream.write('new\n'))
  stream.setTimeout(3000, () => stream.destroy(new Error('timeout')))
  stream.on('error', (error) => say({from: '', error: error.message}))
  stream.once('data', (data) => {
    say({from: data.toString().split(' ')[0]})
    stream.destroy()
  })
}
