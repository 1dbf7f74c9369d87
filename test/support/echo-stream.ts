// An open session with the guest of src/lab/guest: what a move or a switch does to it.
import {spawnIn} from '../../src/net/process/netns.ts'

const CLIENT = `
import {createConnection} from 'node:net'
const socket = createConnection(7777, process.argv[1])
let sent = 0, echoed = 0, rest = '', wrong = 0, last, longestMs = 0
socket.on('connect', () => {
  const timer = setInterval(() => socket.write(sent++ + '\\n'), 25)
  process.stdin.on('end', () => {
    clearInterval(timer)
    const until = performance.now() + 5000
    const last = setInterval(() => {
      if (echoed < sent && performance.now() < until) return
      console.log(JSON.stringify({sent, echoed: wrong ? -1 : echoed, longestMs: Math.round(longestMs)}))
      process.exit()
    }, 20)
  })
})
socket.on('error', (error) => console.error(error))
socket.on('data', (chunk) => {
  const now = performance.now()
  longestMs = Math.max(longestMs, now - (last ?? now))
  last = now
  const lines = (rest + chunk).split('\\n')
  rest = lines.pop()
  for (const line of lines) if (Number(line) !== echoed++) wrong++
  console.log(echoed)
})
process.stdin.resume()
`

export interface EchoResult {
  readonly sent: number
  /** -1: not in order. */
  readonly echoed: number
  /** The longest time without an answer. */
  readonly longestMs: number
}

/** One TCP connection from a user to the guest's echo service, a number every 25 ms, each expected back in order. */
export function startEcho(namespace: string, guest = '10.0.0.10') {
  const child = spawnIn(namespace, [process.execPath, '--input-type=module', '-e', CLIENT, guest], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const lastLine = (): string => said.trim().split('\n').at(-1) ?? ''
  return {
    echoed: () => Number(lastLine()),
    async stop(): Promise<EchoResult> {
      child.stdin?.end()
      await new Promise((resolve) => child.once('exit', resolve))
      return JSON.parse(lastLine())
    },
  }
}
