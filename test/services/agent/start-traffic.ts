// Starts traffic.ts at both ends, and talks with the client's.
import {type ChildProcess, spawn} from 'node:child_process'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {runCommand} from '../../../src/net/process/command.ts'

export interface Traffic {
  /** Opens another session; the address that `far` sees it come from, '' if it does not get through. */
  another(): Promise<string>
  /** The session that is open. */
  look(): Promise<Session & {readonly sinceMs: number}>
  stop(): Promise<{
    readonly session: Session
    readonly sent: number
    readonly errors: Record<string, number>
    /** Datagrams that arrived at `far`. */
    readonly received: number
  }>
}

export interface Session {
  readonly echoes: number
  readonly from: string
  readonly longestGapMs: number
  readonly error: string
}

/** From the node `from` to the address `to` of the node `far`, whose server is started with the first. */
export async function startTraffic(
  ns: (node: string) => string,
  {
    from,
    to,
    first,
    quiet,
  }: {readonly from: string; readonly to: string; readonly first: boolean; readonly quiet: boolean},
  children: ChildProcess[],
): Promise<Traffic> {
  const inFar = (...argv: string[]): Promise<string> => runCommand('ip', ['netns', 'exec', ns('far'), ...argv])
  const start = async (node: string, ...args: string[]) => {
    const script = join(import.meta.dirname, 'traffic.ts')
    const child = spawn('ip', ['netns', 'exec', ns(node), process.execPath, script, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {...process.env, NODE_OPTIONS: '', NODE_NO_WARNINGS: '1'},
    })
    children.push(child)
    const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]()
    const next = async (): Promise<unknown> => JSON.parse((await lines.next()).value as string) as unknown
    await next()
    return async <T>(line: string): Promise<T> => {
      child.stdin.write(`${line}\n`)
      return (await next()) as T
    }
  }
  if (first) {
    // Counted where they arrive: a server that is not scheduled drops some, and that is not the network.
    await inFar(
      'nft',
      'add table inet count; add chain inet count in { type filter hook prerouting priority 0; }; add rule inet count in udp dport 7001 counter',
    )
    await start('far', 'server')
  }
  const client = await start(from, 'client', to, ...(quiet ? ['quiet'] : []))
  return {
    another: async () => (await client<{from: string}>('new')).from,
    look: () => client('look'),
    async stop() {
      const sent = await client<{session: Session; sent: number; errors: Record<string, number>}>('stop')
      const counted = /packets (\d+)/.exec(await inFar('nft', 'list table inet count'))
      return {...sent, received: Number(counted?.[1])}
    },
  }
}
