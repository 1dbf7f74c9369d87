// The ways to a VM. One that goes through a broker would be another case here.
import {Failure} from '../../errors.ts'
import {type MessagePeer, openUdpPeer, openUnixPeer} from '../../net/stream/message-peer.ts'
import {openGuestAgent} from '../../net/stream/qga.ts'
import {openLibvirtAgent} from '../../net/stream/qga-libvirt.ts'
import type {SigningKey} from '../../wire/agent-message.ts'
import type {AgentTarget, AgentTransport, Conversation, ConversationStage, SwitchOrder} from './conversation.ts'
import {qgaConversation} from './qga-switch.ts'
import {signedConversation} from './signed.ts'

/** To an agent of ours. @throws Failure `runtime` if there is no way, `silent` or `privilege` for a socket. */
export const openPeer = (transport: AgentTransport): Promise<MessagePeer> => {
  if (transport.kind === 'udp') return openUdpPeer(transport.address, transport.port)
  if (transport.kind === 'unix') return openUnixPeer(transport.socket)
  throw new Failure('usage', `${transport.kind} is no way to an agent of gwswitch`)
}

/**
 * Opens the way; nothing is said yet. @throws Failure `runtime` if there is none, `silent` or `privilege` for a socket
 * that is not there or not ours, `usage` without a key where one is needed.
 */
export async function openConversation(
  target: AgentTarget,
  order: SwitchOrder,
  key: SigningKey | undefined,
  stage: ConversationStage,
): Promise<Conversation> {
  const {transport} = target
  if (transport.kind === 'qga') {
    return qgaConversation(target, order, () => openGuestAgent(transport.socket, stage.signal), stage)
  }
  if (transport.kind === 'libvirt') {
    const open = () => openLibvirtAgent(transport.domain, transport.connect ?? undefined, stage.signal)
    return qgaConversation(target, order, open, stage)
  }
  if (key === undefined)
    throw new Failure('usage', `${target.name}: no key to sign its orders with (--key FILE, or sites.NAME.agentKey)`)
  const peer = await openPeer(transport)
  try {
    return signedConversation(target, order, {peer, key}, stage)
  } catch (error) {
    peer.close()
    throw error
  }
}
