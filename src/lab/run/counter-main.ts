// Entry point: counter-main ADDRESS PORT. Counts on to a listener, a line each 10 ms, as the guest of `lab run` does; by a new
// session, from 0, when one ends. Ends with its standard input.
import {connect} from 'node:net'

const [host = '', port] = process.argv.slice(2)
const EVERY_MS = 10
const AGAIN_MS = 100

function count(): void {
  let next = 0
  const socket = connect({host, port: Number(port), noDelay: true})
  const timer = setInterval(() => socket.writable && socket.write(`${next++}\n`), EVERY_MS)
  socket.resume()
  socket.on('error', () => {})
  socket.on('close', () => {
    clearInterval(timer)
    setTimeout(count, AGAIN_MS)
  })
}

count()
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
