// The agent that runs on this machine already, asked by its unix socket.
import {openUnixPeer} from '../../net/stream/message-peer.ts'
import type {SiteStatus} from './whereabouts.ts'

/** What one asks the agent's unix socket for its {@link SiteStatus}: no message, which is signed, looks like it. */
export const STATUS_LINE = 'status'
const STATUS_MS = 1000

/** And what makes it take everything of its own away. */
export const RESET_LINE = 'reset'
const RESET_MS = 15_000

/** What the agent that runs at `path` knows of where it is; undefined if none runs, or an older one that does not say. */
export const siteStatus = (path: string): Promise<SiteStatus | undefined> =>
  ask<SiteStatus>(path, STATUS_LINE, STATUS_MS)

/** Has the agent that runs at `path` reset itself; undefined if none does in time. */
export const resetRunning = (path: string): Promise<{readonly left: string | null} | undefined> =>
  ask<{readonly left: string | null}>(path, RESET_LINE, RESET_MS)

async function ask<T>(path: string, question: string, timeoutMs: number): Promise<T | undefined> {
  const peer = await openUnixPeer(path).catch(() => undefined)
  if (peer === undefined) return undefined
  const {promise, resolve} = Promise.withResolvers<T | undefined>()
  const late = setTimeout(resolve, timeoutMs, undefined)
  peer.onUnreachable(() => resolve(undefined))
  peer.onMessage((line) => resolve(jsonIn<T>(Buffer.from(line).toString())))
  peer.send(question)
  try {
    return await promise
  } finally {
    clearTimeout(late)
    peer.close()
  }
}

/** Undefined for what is no JSON: then it is no agent that answers there. */
function jsonIn<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T
  } catch {
    return undefined
  }
}

/**
 * Hands messages to the agent that runs already, and its answers to `onAnswer`, until that says that it was the last.
 * @throws Failure as {@link openUnixPeer}.
 */
export async function forward(
  path: string,
  tokens: readonly string[],
  onAnswer: (token: string) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const peer = await openUnixPeer(path)
  const {promise, resolve} = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), {once: true})
  if (signal.aborted) resolve()
  peer.onUnreachable(() => resolve())
  peer.onMessage((line) => onAnswer(Buffer.from(line).toString()) && resolve())
  for (const token of tokens) peer.send(token)
  try {
    await promise
  } finally {
    peer.close()
  }
}
