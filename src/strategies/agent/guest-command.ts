// The programs that a switch runs in a guest without an agent of ours, and how it speaks of them: ip(8), ping(8), and a
// shell for the way back.
import type {CommandResult} from '../../net/process/command.ts'
import {type Ipv4, isIpv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {SwitchOrder} from './conversation.ts'
import type {Change, Family} from './guest-choice.ts'
import {type GuestRoute, throughGateway} from './guest-route.ts'

export type Argv = readonly string[]

/** A look-up only: nothing is sent there. RFC 7600 and RFC 6666 keep these free. */
const FAR_AWAY = {4: '192.0.0.8', 6: '100::1'} as const
const PROBE_S = 2
/** Seconds until the guest goes back when the order wants no confirmation: until we have looked. */
const UNCONFIRMED_S = 20

/** Writes the lines "$2.." to file "$1". */
const SAVE = 'f=$1; shift; umask 077; printf "%s\\n" "$@" > "$f"'
/**
 * After "$2" seconds, runs ip(8) with each line of the file "$1", unless the file is gone: whoever removes it first, we
 * or this, decides.
 */
const GO_BACK =
  'sleep "$2"; mv "$1" "$1.due" 2>/dev/null || exit 0; set -f; while read -r line; do ip $line; done < "$1.due"; rm "$1.due"'

/** The way back is kept in the guest under the run's name. */
export const fileOf = ({run}: SwitchOrder): string => `/run/gwswitch-${run}`

/** Seconds after which the guest goes back unless somebody says no. */
export const goBackAfterS = ({confirmS}: SwitchOrder): number => confirmS || UNCONFIRMED_S

export const routeShow = (family: Family): Argv => ['ip', `-${family}`, 'route', 'show']
/** What the kernel decides: another route of a lower metric would show here. */
export const routeGet = (family: Family): Argv => ['ip', `-${family}`, 'route', 'get', FAR_AWAY[family]]
export const neighShow = (ip: Ipv4 | Ipv6, device: string): Argv => ['ip', 'neigh', 'show', ip, 'dev', device]

export function ping(to: Ipv4 | Ipv6, device?: string): Argv {
  const via = device === undefined ? [] : ['-I', device]
  return ['ping', ...(isIpv4(to) ? [] : ['-6']), '-c', '1', '-W', `${PROBE_S}`, ...via, to]
}

/** What ip(8) takes to have this route through another gateway, in place of what is there. */
export const routeReplace = (route: GuestRoute, gateway: Ipv4 | Ipv6): Argv => [
  'ip',
  ...lineOf(route, throughGateway(route, gateway)).split(' '),
]

/** The lines that make all as it was, for ip(8). */
export const wayBack = (changes: readonly Change[]): readonly string[] =>
  changes.map(({route}) => lineOf(route, route.words))

const lineOf = ({family}: GuestRoute, words: readonly string[]): string => `-${family} route replace ${words.join(' ')}`

export const ipLine = (line: string): Argv => ['ip', ...line.split(' ')]

export const save = (order: SwitchOrder, lines: readonly string[]): Argv => [
  ...['/bin/sh', '-c', SAVE, 'sh', fileOf(order)],
  ...lines,
]
/** Never ends before its time: it is started, not run. */
export const goBackLater = (order: SwitchOrder): Argv => [
  ...['/bin/sh', '-c', GO_BACK, 'sh', fileOf(order)],
  `${goBackAfterS(order)}`,
]
export const readSaved = (order: SwitchOrder): Argv => ['cat', fileOf(order)]
/** Fails where the guest was faster. */
export const takeSaved = (order: SwitchOrder): Argv => ['rm', fileOf(order)]
export const dropSaved = (order: SwitchOrder): Argv => ['rm', '-f', fileOf(order)]

export const whyOf = ({code, stderr}: CommandResult): string =>
  stderr.trim().split('\n').at(-1) || `it ended with code ${code}`

/** What was run and what became of it, in one line. */
export const ranText = (argv: Argv, result: CommandResult): string =>
  `${argv.join(' ')}${result.code === 0 ? '' : `: ${whyOf(result)}`}`
