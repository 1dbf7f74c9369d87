// Log lines: `key=value`, one exchange a line, and warnings that do not flood.
import type {ExchangeEvent} from '../../domain/dhcp/control.ts'
import {localStamp} from '../../wire/local-time.ts'

/** `at=... event=DHCPACK to=DHCPREQUEST state=renewing vm=web-07 ip=10.0.0.10 ...`, in a fixed order. */
export function exchangeLine(event: ExchangeEvent): string {
  const {at, message, answer, state, vm, mac, ip, router, site, segment, relay, xid, reason} = event
  const fields = {
    at: localStamp(Date.parse(at)),
    event: answer ?? 'silence',
    to: message,
    state,
    vm,
    mac,
    ip,
    router,
    site,
    segment,
    relay,
    xid,
    reason,
  }
  return logLine(fields)
}

/** A line of the fields that have a value; values that hold more than plain characters are quoted as in JSON. */
export function logLine(fields: Readonly<Record<string, string | number | undefined>>): string {
  const parts: string[] = []
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const text = `${value}`
    parts.push(/^[\x21\x23-\x3c\x3e-\x7e]+$/.test(text) ? `${key}=${text}` : `${key}=${JSON.stringify(text)}`)
  }
  return parts.join(' ')
}

/** A warning of a kind again only after this long; how many were held back is said then. */
const QUIET_MS = 10_000

/** Passes on the first warning of each kind (`key`, of a small fixed set) and then one every ten seconds. */
export function limitedWarnings(
  nowMs: () => number,
  write: (line: string, held: number) => void,
): (key: string, line: string) => void {
  const kinds = new Map<string, {saidMs: number; held: number}>()
  return (key, line) => {
    const now = nowMs()
    const kind = kinds.get(key)
    if (kind && now - kind.saidMs < QUIET_MS) {
      kind.held++
      return
    }
    write(line, kind?.held ?? 0)
    kinds.set(key, {saidMs: now, held: 0})
  }
}
