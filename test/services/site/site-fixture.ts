// A site's controller without a network: an inventory, keys, and a request as the command line would make it.
import {mkdirSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll} from 'vitest'
import {type Inventory, parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {type ServeSiteOrder, type ServeSiteRequest, serveSiteRequest} from '../../../src/services/site/request.ts'
import type {SiteRequest} from '../../../src/services/site/serve.ts'
import {type SiteOrder, siteRequest} from '../../../src/services/site/site-request.ts'
import {type AgentNote, signNote} from '../../../src/wire/agent-beacon.ts'
import {newPrivateKey, privateKeyText, publicKeyText} from '../../../src/wire/agent-message.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface} from '../../support/world.ts'

export const keys = {site: newPrivateKey(), agent: newPrivateKey()}
const scratch = join(tmpdir(), `gwswitch-site-${process.pid}`)
export const keyFile = join(scratch, 'site-y.key')

/** For every file that makes a request: the key is where it is said to be while its tests run. */
export function useKeyFile(): void {
  beforeAll(() => {
    mkdirSync(scratch, {mode: 0o700})
    writeFileSync(keyFile, privateKeyText(keys.site), {mode: 0o600})
  })
  afterAll(() => rmSync(scratch, {recursive: true}))
}

/** RY's leg: its MAC, its address. */
export const LEG = ethernetInterface({
  ...{name: 'seg-a', mac: '02:00:00:00:0b:01', addresses: [{ip: '10.0.0.2', prefixLength: 24}]},
})

export const inventory = (change: (text: string) => string = (text) => text): Inventory =>
  parseInventory(
    change(
      INVENTORY.replace('strategies: [agent, dhcp]', `strategies: [agent], agent: {key: ${publicKeyText(keys.agent)}}`),
    ),
    'gwswitch.yaml',
  )

export const order = (over: Partial<ServeSiteOrder> = {}): ServeSiteOrder => ({
  ...{site: 'y', interfaceName: 'seg-a', key: keyFile, intervalS: 1, beacon: true, dryRun: false},
  ...over,
})

export const request = (over: Partial<ServeSiteOrder> = {}, known = inventory()): ServeSiteRequest =>
  serveSiteRequest(order(over), known, [LEG])

/** The whole service, with beacons and notes alone unless something else is said. */
export const service = (
  over: Partial<ServeSiteOrder> = {},
  known = inventory(),
  more: Partial<SiteOrder> = {},
): SiteRequest => siteRequest({...order(over), sources: false, ...more}, known, [LEG])

/** Undefined takes a field away. */
export type NoteChange = {readonly [K in keyof AgentNote]?: AgentNote[K] | undefined}

let count = 0
/** A note of web-07, moved to y, at `nowMs`. */
export const note = (nowMs: number, over: NoteChange = {}): AgentNote => ({
  ...{v: 1, vm: 'web-07', mac: '02:00:00:00:00:10', seq: nowMs * 1000 + ++count, iat: Math.floor(nowMs / 1000)},
  ...{nonce: String(count).padStart(16, '0'), gw4: '10.0.0.1', why: 'notify_peers', site: 'y'},
  ...(over as Partial<AgentNote>),
})

export const signed = (message: AgentNote, by = keys.agent, kid = 'web-07'): Buffer =>
  Buffer.from(signNote(message, {kid, privateKey: by}))
