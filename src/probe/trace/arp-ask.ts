// Where an address is on the segment of one interface, asked on that interface itself: the kernel would ask where its
// routes lead, which need not be there, and would keep the answer.
import {anyOf, etherType, type Instruction} from '../../net/packet/bpf.ts'
import type {World} from '../../net/world.ts'
import {BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../../wire/address.ts'
import {ARP_REPLY, ARP_REQUEST, parseArp} from '../../wire/arp.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_ARP, parseEthernet} from '../../wire/ethernet.ts'
import {arpFrame} from '../../wire/frames.ts'

const ATTEMPTS = 3
const APART_MS = 300
/** After the first answer, how long others are waited for: an address with two owners is answered for twice. */
const OTHERS_MS = 60

/** Every MAC that answers for `ip`, in order; empty after silence of about a second. */
export const askArp = (world: World, interfaceName: string, source: Ipv4, ip: Ipv4): Promise<readonly Mac[]> =>
  askOnLink(world, interfaceName, {
    filter: anyOf([[etherType(ETHERTYPE_ARP)]]),
    question: (mac) =>
      arpFrame(
        {destination: BROADCAST, source: mac},
        {operation: ARP_REQUEST, senderMac: mac, senderIp: source, targetMac: ZERO_MAC, targetIp: ip},
      ),
    answer: (bytes) => ifWellFormed(() => answerFor(bytes, ip)),
  })

/** How one family asks. */
interface LinkQuestion {
  readonly filter: readonly Instruction[]
  /** From the link's own MAC. */
  question(mac: Mac): Uint8Array
  /** The MAC that a frame gives in answer; undefined if it answers nothing. */
  answer(bytes: Uint8Array): Mac | undefined
}

/** Asks until there is an answer, and waits for others. */
export async function askOnLink(
  world: World,
  interfaceName: string,
  {filter, question, answer}: LinkQuestion,
): Promise<readonly Mac[]> {
  const link = await world.openLink(interfaceName, {filter})
  const macs: Mac[] = []
  const answered = new AbortController()
  link.onFrame(({bytes}) => {
    const mac = answer(bytes)
    if (mac === undefined) return
    macs.push(mac)
    answered.abort()
  })
  try {
    const request = question(link.mac)
    for (let i = 0; i < ATTEMPTS && macs.length === 0; i++) {
      link.send(request)
      await world.sleep(APART_MS, answered.signal).catch(() => {})
    }
    if (macs.length > 0) await world.sleep(OTHERS_MS)
    return macs
  } finally {
    await link.close()
  }
}

function answerFor(bytes: Uint8Array, ip: Ipv4): Mac | undefined {
  const {etherType: type, payload} = parseEthernet(bytes)
  if (type !== ETHERTYPE_ARP) return undefined
  const {operation, senderIp, senderMac} = parseArp(payload)
  return operation === ARP_REPLY && senderIp === ip ? senderMac : undefined
}
