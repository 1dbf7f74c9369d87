// The resident service's control socket as a hook sees it: a real unix socket that keeps every line and when it came.
import {createServer, type Socket} from 'node:net'

export interface SiteSocket extends AsyncDisposable {
  /** In the order in which they came, with when, ms since the epoch. */
  readonly lines: readonly {readonly text: string; readonly atMs: number}[]
  texts(): string[]
  /** Forgets what came. */
  forget(): void
}

const ANSWER = {schema: 'gwswitch.site-answer/1', ok: true, said: 'begun', exitCode: 0, error: null}

/** `answers` false: it takes what comes, and is silent. */
export async function siteSocket(path: string, {answers = true} = {}): Promise<SiteSocket> {
  const lines: {text: string; atMs: number}[] = []
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    let rest = ''
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      const whole = (rest + chunk.toString()).split('\n')
      rest = whole.pop()!
      for (const text of whole) {
        lines.push({text, atMs: Date.now()})
        if (answers) socket.write(`${JSON.stringify(ANSWER)}\n`)
      }
    })
  })
  await new Promise<void>((resolve) => void server.listen(path, resolve))
  return {
    lines,
    texts: () => lines.map(({text}) => text),
    forget: () => void lines.splice(0),
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => void server.close(() => resolve()))
    },
  }
}
