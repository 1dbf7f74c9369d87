// A guest with Node and the agent in it, and the keys by which the agent and the sites' controllers know each other.
import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {Failure} from '../../errors.ts'
import {newPrivateKey, privateKeyText, publicKeyText} from '../../wire/agent-message.ts'
import type {GuestImage} from '../guest/image.ts'
import {agentGuestBase, agentGuestImage, GUEST_ETC} from '../guest/node-image.ts'
import {type LabVm, SITES, segmentOf, USERS} from '../topology.ts'
import {until} from '../until.ts'
import type {RunVm} from './vm.ts'

export interface AgentGuest {
  readonly image: GuestImage
  /** The lab's inventory with the keys in it; its text. */
  readonly inventory: string
}

/** Made in the folder `scratch`. @throws Failure `runtime` if there can be none here. */
export async function agentGuest(vm: LabVm, inventory: string, scratch: string): Promise<AgentGuest> {
  const base = await agentGuestBase()
  if (typeof base === 'string') throw new Failure('runtime', `lab run: ${base}`)
  mkdirSync(scratch, {recursive: true})
  const own = newPrivateKey()
  const keys = Object.fromEntries(SITES.map((site) => [site, newPrivateKey()]))
  const keyFile = (site: string): string => join(scratch, `site-${site}.key`)
  for (const site of SITES) writeFileSync(keyFile(site), privateKeyText(keys[site]!), {mode: 0o600})
  const trusted = segmentOf(vm).gateways.map(
    ({site, ip}) => `  site-${site}: { key: ${publicKeyText(keys[site]!)}, gateways: [${ip}] }`,
  )
  const config = [
    ...['version: 1', `vm: ${vm.name}`, `key: ${GUEST_ETC}/agent.key`, 'trusted:', ...trusted],
    ...[`probes: [${USERS.map(({ip}) => ip).join(', ')}]`, `socket: ${GUEST_ETC}/agent.sock`],
    // What answers, answers: the guest's own CPU is what takes long here.
    ...[`state: ${GUEST_ETC}/state`, 'beacons: true', 'windows: {probeMs: 8000}', ''],
  ]
  const files = {'agent.yaml': config.join('\n'), 'agent.key': privateKeyText(own)}
  return {
    image: await agentGuestImage(base, scratch, files),
    inventory: inventory
      .replace(/ {2}"([xy])": \{/g, (line, site) => `${line} agentKey: ${keyFile(site)},`)
      .replace(`${vm.name}: {`, `${vm.name}: { agent: { key: ${publicKeyText(own)} },`),
  }
}

/** Node takes long to start in it. */
const START_MS = 120_000
const LOG = '/run/agent.log'

export async function startGuestAgent(machine: RunVm): Promise<void> {
  await machine.sh(`gwswitch agent --config ${GUEST_ETC}/agent.yaml </dev/null >/dev/null 2>${LOG} &`)
  await until(async () => /listens on/.test(await machine.sh(`cat ${LOG}`)), START_MS, "the guest's agent starts", 500)
}

/** Resolves when the agent knows by beacons that it is at a site, and says that it settled there. */
export async function agentKnowsSite(machine: RunVm, site: string): Promise<void> {
  const known = async (): Promise<boolean> => {
    const text = await machine.sh(`gwswitch agent status --config ${GUEST_ETC}/agent.yaml --json`)
    const {where} = JSON.parse(text || '{}') as {where?: {site?: string; phase?: string}}
    return where?.site === site && where.phase === 'settled'
  }
  await until(known, START_MS, `the guest's agent knows that it is at ${site}`, 500)
}
