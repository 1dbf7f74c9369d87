import {describe, expect, it} from 'vitest'
import {attribute, type NetlinkMessage, netlinkMessages} from '../../../src/net/netlink/netlink-message.ts'
import {bindGroup, NFLOG_PACKET, parseLogged} from '../../../src/net/netlink/nflog-message.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const HEADER = hex('c2aadd82ec3d 029547fe3c5c 0800')
const logged = (...parts: readonly Buffer[]): Pick<NetlinkMessage, 'type' | 'body'> => ({
  type: NFLOG_PACKET,
  body: Buffer.concat([hex('07 00 6777'), ...parts]),
})
const PORT = attribute(7, hex('00000004'))
const BRIDGE = attribute(5, hex('00000002'))
const PAYLOAD = attribute(9, hex('4500'))
const L2 = attribute(21, HEADER)

describe('a logged frame', () => {
  it('is what the bridge sends out of a port', () => {
    expect(parseLogged(logged(PORT, BRIDGE, L2, PAYLOAD))).toEqual({
      bytes: Uint8Array.from(hex('c2aadd82ec3d 029547fe3c5c 0800 4500')),
      inIndex: undefined,
      outIndex: 4,
    })
  })

  it('is what came in by a port, whose way out is not decided yet', () => {
    const [port, bridge] = [attribute(6, hex('00000003')), attribute(4, hex('00000002'))]
    expect(parseLogged(logged(port, bridge, L2, PAYLOAD))).toMatchObject({inIndex: 3, outIndex: undefined})
    expect(parseLogged(logged(bridge, L2, PAYLOAD))?.inIndex).toBe(2)
  })

  it('names the port alone where the kernel knows no bridge netfilter', () => {
    expect(parseLogged(logged(BRIDGE, L2, PAYLOAD))?.outIndex).toBe(2)
  })

  it('has the tag in it that the kernel carries beside it', () => {
    const vlan = attribute(20, Buffer.concat([attribute(1, hex('8100')), attribute(2, hex('a00a'))]))
    expect(Buffer.from(parseLogged(logged(PORT, vlan, L2, PAYLOAD))!.bytes)).toEqual(
      hex('c2aadd82ec3d 029547fe3c5c 8100 a00a 0800 4500'),
    )
  })

  it.each([
    ['another message', {...logged(PORT, L2, PAYLOAD), type: 2}],
    ['one without a header', logged(PORT, PAYLOAD)],
    ['one without a packet', logged(PORT, L2)],
  ])('is not %s', (_, message) => {
    expect(parseLogged(message)).toBeUndefined()
  })

  it('is asked for by its group, as nfnetlink_log wants it', () => {
    const [message] = [...netlinkMessages(bindGroup(0x6777))]
    expect(message).toMatchObject({type: 0x401, body: hex('00 00 6777 0500 0100 01 000000')})
  })
})
