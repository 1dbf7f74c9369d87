// Replay values: 64 bits that only grow, per client (RFC 3118, RFC 8415 20.3). Ours are the clock in nanoseconds, 1.8e18
// today; others count otherwise (odhcpd: seconds << 32, 7.7e18; NTP time: 1.7e19), and a strict client takes none below.
import {Failure} from '../../errors.ts'
import type {Mac} from '../../wire/address.ts'

const LAST = (1n << 64n) - 1n

/** As SQLite keeps it, whose integers have a sign: two's complement. */
export const replayColumn = (value: bigint): bigint => BigInt.asIntN(64, value)
export const replayIn = (column: bigint): bigint => BigInt.asUintN(64, column)

export const highestReplay = (one: bigint, other: bigint): bigint => (one > other ? one : other)

/** The next one for a client. @throws Failure `runtime` where there is none. */
export function replayAfter(mac: Mac, last: bigint, nowNs: bigint): bigint {
  if (last < LAST) return highestReplay(nowNs, last + 1n)
  throw new Failure(
    'runtime',
    `${mac}: a message with the highest replay value there is was seen, so it takes no other: if that was not its server's, begin with an empty --state FILE`,
  )
}
