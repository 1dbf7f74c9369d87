// What an inventory says about the agent in a VM: where it is, whom to believe, how it is to be told.
import * as z from 'zod'
import {isAgentId, PROBE_LIMIT, readPublicKey, SWITCH_MODES} from '../../wire/agent-message.ts'
import {readIp} from '../../wire/ipv6-address.ts'
import type {Immutable} from '../immutable.ts'

/**
 * Ways to an agent. `qga` is the QEMU guest agent's own protocol, by its socket, and `libvirt` the same where libvirt holds
 * that socket: the VM then needs no gwswitch.
 */
export const AGENT_TRANSPORTS = ['udp', 'unix', 'qga', 'libvirt'] as const
export type AgentTransportKind = (typeof AGENT_TRANSPORTS)[number]

/** A text that `read` knows; what it does not know is refused with `want`. */
const text = (what: string, read: (value: string) => string | undefined) =>
  z
    .any()
    .transform((value: unknown, context): string => {
      const got = typeof value === 'string' ? read(value) : undefined
      if (got !== undefined) return got
      const shown = value === null || value === undefined ? 'is missing' : `${JSON.stringify(value)} is not right`
      context.issues.push({code: 'custom', message: `${shown} (want ${what})`, input: value})
      return z.NEVER
    })
    .meta({want: what})

const id = text('1 to 64 of letters, digits, ".", "_", ":", "-"', (value) => (isAgentId(value) ? value : undefined))
const address = text('an IP address, 10.0.0.10', readIp)
/** A file of the host that gwswitch runs on. */
export const pathField = (example: string) =>
  text(`an absolute path, ${example}`, (value) => (value.startsWith('/') ? value : undefined))

/** `vms.NAME.agent`. */
export const vmAgentSchema = z
  .strictObject({
    id: id.optional().describe("The VM's id in its agent's configuration, if it is not its name here"),
    address: address.optional().describe("Where its agent listens, if not at the VM's own address and the usual port"),
    port: z.number().int().min(1).max(65_535).optional(),
    key: text('the 43 characters that "gwswitch agent keygen" prints in the VM', (value) =>
      readPublicKey(value) === undefined ? undefined : value,
    )
      .optional()
      .describe("Public half of the agent's key, 43 characters: only what it signed is believed"),
    kid: text('a name of 1 to 256 characters', (value) => (value.length > 256 ? undefined : value || undefined))
      .optional()
      .describe("Name under which the agent knows our key, if not that of the key's file"),
    socket: pathField('/run/gwswitch/agent.sock').optional().describe('Unix socket of gwswitch agent'),
    qga: pathField('/var/lib/libvirt/qemu/channel/target/web-07.org.qemu.guest_agent.0')
      .optional()
      .describe("Unix socket of the VM's QEMU guest agent"),
    domain: text('the name of a libvirt domain', (value) => (/^[^\s/-][^\s/]*$/.test(value) ? value : undefined))
      .optional()
      .describe('Its domain in libvirt'),
    connect: text('a libvirt URI, qemu:///system', (value) => (/^\w[\w+]*:/.test(value) ? value : undefined))
      .optional()
      .describe("libvirt's connection URI, if not the usual one"),
    transport: z
      .enum(AGENT_TRANSPORTS)
      .optional()
      .describe(
        'Which way to take; by default the first that is possible: with a key unix or udp, then qga, then libvirt',
      ),
    mode: z.enum(SWITCH_MODES).optional().describe('How the VM is to change its route'),
    probes: z
      .array(address)
      .max(PROBE_LIMIT)
      .optional()
      .describe('Addresses beyond the gateways, of which one must answer an echo'),
  })
  .superRefine(({transport, key, qga, socket, domain}, context) => {
    const missing = (name: string, why: string): void =>
      context.addIssue({code: 'custom', path: [name], message: `is missing (${why})`})
    if (transport === 'qga' && qga === undefined) missing('qga', 'transport qga needs the socket of the guest agent')
    if (transport === 'libvirt' && domain === undefined)
      missing('domain', 'transport libvirt needs the name of the domain')
    if (transport === 'unix' && socket === undefined) missing('socket', 'transport unix needs the socket of the agent')
    if ((transport === 'udp' || transport === 'unix') && key === undefined)
      missing('key', `transport ${transport} needs the public half of the agent's key`)
  })

/** The agent in a VM. Paths are those of the host that gwswitch runs on. */
export type VmAgent = Immutable<z.infer<typeof vmAgentSchema>>
