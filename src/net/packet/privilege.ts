// Which capability is missing, in words that say how to get it.
import {Failure} from '../../errors.ts'

/** The failure for a raw socket that the kernel refused (packet(7): CAP_NET_RAW). */
export function needsNetRaw(): Failure {
  return new Failure(
    'privilege',
    'raw frames need CAP_NET_RAW: run as root, or grant it once with ' +
      "'setpriv --ambient-caps +net_raw --inh-caps +net_raw gwswitch ...' or a systemd unit's AmbientCapabilities=CAP_NET_RAW",
  )
}
