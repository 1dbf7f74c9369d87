// Tells agents, one after the other, that a new key is as good as the one that signs, or that a key is revoked.
import {findVm, type Inventory} from '../../domain/inventory/site.ts'
import {EXIT, Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import {type AgentTarget, isSigned, newRun, type Standing} from '../../strategies/agent/conversation.ts'
import {readAgentKey, readSigningKey} from '../../strategies/agent/keys.ts'
import {type KeyOrder, tellKeys} from '../../strategies/agent/signed.ts'
import {agentTarget} from '../../strategies/agent/target.ts'
import {openPeer} from '../../strategies/agent/transports.ts'
import type {SigningKey} from '../../wire/agent-message.ts'
import {readIp} from '../../wire/ipv6-address.ts'

/** The command line, as typed. */
export interface RotateOrder {
  readonly vms: readonly string[]
  readonly key: string
  readonly kid?: string | undefined
  readonly introduce?: string | undefined
  readonly as?: string | undefined
  readonly notBefore?: string | undefined
  readonly notAfter?: string | undefined
  readonly revoke?: string | undefined
  readonly agentKey?: string | undefined
  readonly id?: string | undefined
  readonly socket?: string | undefined
  readonly port?: number | undefined
  readonly timeoutMs: number
}

export interface RotatedVm {
  readonly vm: string
  readonly state: Standing['state'] | 'failed'
  readonly detail: string | null
}

export interface RotateDocument {
  readonly schema: 'gwswitch.agent-rotate/1'
  readonly by: string
  readonly order: KeyOrder
  readonly vms: readonly RotatedVm[]
  readonly exitCode: number
}

export interface RotateStage {
  readonly world: World
  readonly signal: AbortSignal
}

/** @throws Failure `usage` before anything is sent; what a VM says to it is in its row. */
export async function rotate(
  order: RotateOrder,
  inventory: Inventory | undefined,
  stage: RotateStage,
): Promise<RotateDocument> {
  const key = readSigningKey(order.key, order.kid)
  const said = keyOrder(order)
  const targets = order.vms.map((name) => targetOf(name, order, inventory))
  if (targets.length === 0) throw new Failure('usage', 'name VMs of the inventory, or the address of one')
  const vms: RotatedVm[] = []
  for (const target of targets) vms.push(await tell(target, said, key, order.timeoutMs, stage))
  const exits = vms.map(({state}) => EXITS[state] ?? 0)
  return {
    ...{schema: 'gwswitch.agent-rotate/1', by: key.kid, order: said, vms},
    exitCode: exits.find((exit) => exit !== 0) ?? 0,
  }
}

const EXITS: Partial<Record<RotatedVm['state'], number>> = {
  refused: EXIT.refused,
  silent: EXIT.silent,
  failed: EXIT.runtime,
}

function keyOrder({introduce, as, notBefore, notAfter, revoke}: RotateOrder): KeyOrder {
  if ((introduce === undefined) === (revoke === undefined))
    throw new Failure('usage', 'give either --introduce KEY or --revoke KID')
  if (revoke !== undefined) return {op: 'revoke', old_kid: revoke}
  if (as === undefined) throw new Failure('usage', 'give the new key a name: --as KID')
  const [from, until] = [moment('--not-before', notBefore), moment('--not-after', notAfter)]
  return {
    ...{op: 'introduce', new_kid: as, new_key: readAgentKey(introduce!, '--introduce')},
    ...(from === undefined ? {} : {not_before: from}),
    ...(until === undefined ? {} : {not_after: until}),
  }
}

/** Seconds since 1970. */
function moment(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = Date.parse(text)
  if (!Number.isNaN(ms)) return Math.floor(ms / 1000)
  throw new Failure('usage', `${flag} ${text}: is no time (want 2027-01-31 or 2027-01-31T12:00:00Z)`)
}

function targetOf(name: string, {id, socket, port, agentKey, kid}: RotateOrder, inventory?: Inventory): AgentTarget {
  const ip = readIp(name)
  const known = (inventory && findVm(inventory, name)) ?? (ip === undefined ? undefined : {name, ip})
  if (known === undefined) throw new Failure('usage', `${name}: no VM of the inventory, and no address`)
  const key = agentKey === undefined ? undefined : readAgentKey(agentKey)
  const target = agentTarget(known, {
    id,
    socket,
    port,
    kid,
    agentKey: key,
    transport: socket === undefined ? undefined : 'unix',
  })
  if (isSigned(target.transport)) return target
  throw new Failure('usage', `${name}: has no agent of gwswitch, whose keys could be changed`)
}

async function tell(
  target: AgentTarget,
  order: KeyOrder,
  key: SigningKey,
  timeoutMs: number,
  {world, signal}: RotateStage,
): Promise<RotatedVm> {
  try {
    const peer = await openPeer(target.transport)
    try {
      const observe = ({text}: {readonly text: string}): void => world.log(text)
      const {state, reason, detail} = await tellKeys(
        target,
        order,
        {run: newRun(world), timeoutMs},
        {peer, key},
        {
          ...{world, signal, observe},
        },
      )
      return {vm: target.name, state, detail: [reason, detail].filter((part) => part !== null).join(': ') || null}
    } finally {
      peer.close()
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return {vm: target.name, state: 'failed', detail: error.message}
  }
}

/** Lines for people. */
export const rotateText = ({vms}: RotateDocument): string[] =>
  vms.map(
    ({vm, state, detail}) =>
      `${(state === 'confirmed' ? 'done' : state).padEnd(10)}${vm}${detail === null ? '' : `: ${detail}`}`,
  )
