// Who else is moved by a frame for one VM: a host at the other site, with and without a filter, and a stale bridge table.
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {nftFilter} from '../../src/domain/filter/nft-text.ts'
import {announcementFrame} from '../../src/strategies/arp/frames.ts'
import {type BridgeHost, type TestBridge, until, withBridge} from '../support/bridge.ts'
import {intentOf} from '../support/filter-order.ts'
import {INVENTORY} from '../support/inventory.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {linkIn} from './arp-link.ts'

const A = '02:00:00:00:0a:02'
const B = '02:00:00:00:0b:02'
const VM = {ip: '10.1.0.10', mac: '02:00:00:00:01:10'}
const noNft = (await hasProgram('nft')) ? undefined : 'nft is not installed (package nftables)'

const entry = async (host: BridgeHost): Promise<string | undefined> => {
  const [found] = JSON.parse(await host.run('ip', '-json', 'neigh', 'show', '10.1.0.254')) as {lladdr?: string}[]
  return found?.lladdr
}

/** The VM behind the local port, a bystander behind the DCI; both hold the gateway at A. */
async function withHosts<T>(fn: (bridge: TestBridge) => Promise<T>): Promise<T> {
  const options = {
    local: {mac: VM.mac, addresses: [`${VM.ip}/24`]},
    far: {mac: '02:00:00:00:01:20', addresses: ['10.1.0.20/24']},
  }
  return withBridge(options, async (bridge) => fn(bridge))
}

async function reset(bridge: TestBridge, table: 'fresh' | 'stale'): Promise<void> {
  for (const host of [bridge.local, bridge.far]) {
    await host.run('ip', 'neigh', 'replace', '10.1.0.254', 'lladdr', A, 'dev', 'eth0', 'nud', 'reachable')
  }
  const port = table === 'fresh' ? bridge.local.port : bridge.far.port
  await bridge.run(['bridge', 'fdb', 'replace', VM.mac, 'dev', port, 'master', 'dynamic'])
}

const load = (bridge: TestBridge): Promise<string> =>
  bridge.run(['nft', '-f', '-'], nftFilter(intentOf(INVENTORY, {inboundMoves: true}), 'bridge'))

interface Case {
  readonly form: 'ask' | 'reply' | 'request'
  readonly broadcast: boolean
  readonly table: 'fresh' | 'stale'
  readonly filter: boolean
  readonly vmMoves: boolean
  readonly bystanderMoves: boolean
}

const forms = ['ask', 'reply', 'request'] as const
const CASES: Case[] = forms.flatMap((form): Case[] => [
  {form, broadcast: false, table: 'fresh', filter: false, vmMoves: true, bystanderMoves: false},
  {form, broadcast: false, table: 'stale', filter: false, vmMoves: false, bystanderMoves: false},
  // "who-has VM" is no question for the bystander, but says where the gateway is: within the lock time it is ignored.
  {form, broadcast: true, table: 'stale', filter: false, vmMoves: true, bystanderMoves: true},
  {form, broadcast: true, table: 'fresh', filter: true, vmMoves: true, bystanderMoves: false},
])

describe.skipIf(noNamespaces ?? noNft)('frames for one VM, on a bridge with a host at the other site', () => {
  it.each(CASES.map((each) => ({...each, cast: each.broadcast ? 'broadcast' : 'unicast'})))(
    '$form, $cast, bridge table $table, filter $filter: VM moves $vmMoves, bystander moves $bystanderMoves',
    async ({form, broadcast, table, filter, vmMoves, bystanderMoves}) => {
      await withHosts(async (bridge) => {
        if (filter) await load(bridge)
        await reset(bridge, table)
        await sleep(1100)
        await using link = await linkIn(bridge.namespace, 'br0')
        link.send(announcementFrame(form, {ip: '10.1.0.254', mac: B}, {vm: VM, broadcast}, link.mac).bytes)
        await until(async () => (await entry(bridge.local)) === B, vmMoves ? 5000 : 300)
        expect({vm: await entry(bridge.local), bystander: await entry(bridge.far)}).toEqual({
          vm: vmMoves ? B : A,
          bystander: bystanderMoves ? B : A,
        })
      })
    },
  )
})
