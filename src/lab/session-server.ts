// Entry point: session-server ADDRESS. Echoes TCP streams and UDP datagrams until its standard input closes.
import {createSocket} from 'node:dgram'
import {once} from 'node:events'
import {createServer} from 'node:net'
import {printJson} from '../net/process/say.ts'

const address = process.argv[2] ?? ''
const tcp = createServer({noDelay: true}, (socket) => {
  socket.on('error', () => socket.destroy())
  socket.pipe(socket)
})
const udp = createSocket('udp4')
udp.on('message', (message, from) => udp.send(message, from.port, from.address))

tcp.listen(0, address)
udp.bind(0, address)
async function main(): Promise<void> {
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')])
  const listening = tcp.address()
  const tcpPort = typeof listening === 'object' ? listening?.port : undefined
  printJson({tcpPort, udpPort: udp.address().port})

  process.stdin.resume()
  await once(process.stdin, 'end')
  process.exit(0)
}
void main()
