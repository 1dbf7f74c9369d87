// Numbers of socket(2), socket(7) and packet(7) that all packet sockets here use, as on every 64-bit Linux.
export const AF_PACKET = 17
export const SOCK_RAW = 3
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000
export const ETH_P_ALL = 0x0003
export const SOL_SOCKET = 1
export const SOL_PACKET = 263
export const SO_TIMESTAMPNS = 35
export const PACKET_ADD_MEMBERSHIP = 1
export const PACKET_STATISTICS = 6
export const PACKET_AUXDATA = 8
export const PACKET_IGNORE_OUTGOING = 23
export const PACKET_MR_PROMISC = 1
export const TP_STATUS_VLAN_VALID = 1 << 4
export const TP_STATUS_VLAN_TPID_VALID = 1 << 6

/** `struct mmsghdr`: msghdr (56), msg_len (4), padding (4). */
export const MMSGHDR = 64
export const IOVEC = 16
/** Room for the ancillary data of a frame: SCM_TIMESTAMPNS (32) and PACKET_AUXDATA (40), and more. */
export const CONTROL = 128
