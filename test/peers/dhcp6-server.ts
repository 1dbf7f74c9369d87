// A DHCPv6 server small enough to be read at once: it gives one address, one reconfigure key, and counts what it is asked.
//   node dhcp6-server.ts INTERFACE KEY-HEX
// One JSON line for every message that it answers.
import {createSocket} from 'node:dgram'
import {
  DHCPV6_OPTION_AUTH,
  DHCPV6_OPTION_CLIENTID,
  DHCPV6_OPTION_RECONF_ACCEPT,
  DHCPV6_OPTION_SERVERID,
  DHCPV6_REPLY,
  DHCPV6_SERVER_PORT,
  dhcpv6Option,
  dhcpv6ReconfigureKey,
  parseDhcpv6,
  serializeDhcpv6,
} from '../../src/wire/dhcpv6-reconfigure.ts'

const [, , interfaceName = '', keyHex = ''] = process.argv
const SOLICIT = 1
const ADVERTISE = 2
const IA_NA = 3
const serverDuid = Uint8Array.from([0, 3, 0, 1, 2, 0, 0, 0, 0, 10])

const socket = createSocket('udp6')
socket.bind(DHCPV6_SERVER_PORT, () => {
  socket.addMembership('ff02::1:2', `::%${interfaceName}`)
  process.stdout.write('{"ready":true}\n')
})
socket.on('message', (bytes, from) => {
  const message = parseDhcpv6(bytes)
  const client = dhcpv6Option(message, DHCPV6_OPTION_CLIENTID)
  if (!client) return
  const association = dhcpv6Option(message, IA_NA)
  const type = message.type === SOLICIT ? ADVERTISE : DHCPV6_REPLY
  const options = [
    {code: DHCPV6_OPTION_SERVERID, data: serverDuid},
    {code: DHCPV6_OPTION_CLIENTID, data: client},
    ...(association ? [{code: IA_NA, data: addressFor(association)}] : []),
    {code: DHCPV6_OPTION_RECONF_ACCEPT, data: new Uint8Array(0)},
    ...(type === DHCPV6_REPLY
      ? [{code: DHCPV6_OPTION_AUTH, data: dhcpv6ReconfigureKey(1n, Uint8Array.from(Buffer.from(keyHex, 'hex')))}]
      : []),
  ]
  socket.send(serializeDhcpv6({type, transactionId: message.transactionId, options}), from.port, from.address)
  process.stdout.write(
    `${JSON.stringify({type: message.type, accepts: dhcpv6Option(message, DHCPV6_OPTION_RECONF_ACCEPT) !== undefined})}\n`,
  )
})

/** The client's identity association with T1, T2 and the address 2001:db8::10 for an hour. */
function addressFor(association: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + 4 + 24)
  const view = new DataView(out.buffer)
  out.set(association.subarray(0, 4))
  view.setUint32(4, 1800)
  view.setUint32(8, 2880)
  view.setUint16(12, 5)
  view.setUint16(14, 24)
  out.set([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10], 16)
  view.setUint32(32, 3600)
  view.setUint32(36, 3600)
  return out
}
