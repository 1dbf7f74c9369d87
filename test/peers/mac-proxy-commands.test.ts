// What `switch --strategy mac-proxy` leaves on a bridge: shown, put back after a flush, taken away, and in nobody's way unseen.
import {describe, expect, it} from 'vitest'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {BEYOND, type SegmentLab, useSegmentLab, VM_MAC, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {switchIn} from './proof-switch.ts'

const BX = {name: 'bx', site: 'x', mac: X_MAC}
const BY = {name: 'by', site: 'y', mac: Y_MAC}
const ROW = {vm: {name: 'db-03', mac: VM_MAC}, port: 'vnet0', from: BX, to: BY, state: 'as-meant', differences: []}

describe.skipIf(noNamespaces)('gwswitch mac-proxy', () => {
  const lab = useSegmentLab({})
  const cli = (at: SegmentLab, ...args: readonly string[]) => gwswitch(args, {namespace: at.ns('sw')})
  const here = (...args: readonly string[]) => cli(lab(), 'mac-proxy', ...args, '--json')
  /** As built, with the VM redirected from X to Y. */
  const redirected = async (): Promise<SegmentLab> => {
    await lab().restore()
    expect(await switchIn(lab(), {strategy: 'mac-proxy'})).toMatchObject({exit: 0, json: {end: 'switched'}})
    return lab()
  }

  it('lists who is redirected, and takes that away, once as good as twice', async () => {
    const {run, leavesBy} = await redirected()
    const {json, code} = await here('list')
    expect(json).toMatchObject({schema: 'gwswitch.mac-proxy-list/2', redirects: [ROW], exitCode: 0})
    expect(json.redirects[0].packets, 'the proof itself was redirected').toBeGreaterThan(0)
    expect(code).toBe(0)
    const text = (await cli(lab(), 'mac-proxy', 'list')).stdout
    expect(text).toMatch(
      /^VM {5}PORT {3}FROM .* PACKETS\ndb-03 {2}vnet0 {2}bx 02:00:00:00:0a:02 \(site x\) .* as meant\n$/,
    )
    expect(await leavesBy()).toBe(Y_MAC)

    expect((await here('release', 'db-03', '--dry-run')).json).toMatchObject({dryRun: true, released: [ROW]})
    expect(await leavesBy(), 'a dry run').toBe(Y_MAC)
    const again = [await here('release', 'db-03'), await here('release', VM_MAC)]
    expect(again.map(({json, code}) => [json.changed, code])).toEqual([
      [true, 0],
      [false, 0],
    ])
    expect(await leavesBy()).toBe(X_MAC)
    expect(await run('sw', 'nft list ruleset')).toBe('')
    expect((await here('list')).json).toMatchObject({redirects: [], exitCode: 0})
  })

  it.each([
    [
      ['release', 'db-30'],
      'db-30 is no MAC, no VM of the inventory, and none that is redirected here (db-03) (did you mean "db-03"?)',
    ],
    [['release'], 'say whose redirection: a VM, or --all'],
    [['release', 'db-03', '--all'], 'say whose redirection: a VM, or --all'],
  ])('refuses %j', async (args, message) => {
    if ((await here('list')).json.redirects.length === 0) await redirected()
    const {json, code} = await here(...args)
    expect({code, message: json.error.message}).toEqual({code: 2, message: expect.stringContaining(message)})
  })

  it('puts back what another tool flushed, and says before that it is missing', async () => {
    const {run, leavesBy} = await redirected()
    await run('sw', 'nft flush ruleset')
    expect(await leavesBy()).toBe(X_MAC)
    expect(await here('list')).toMatchObject({code: 10, json: {redirects: [{...ROW, state: 'missing', packets: null}]}})
    expect((await here('apply')).json).toMatchObject({changed: true, redirects: [ROW], exitCode: 0})
    expect(await leavesBy()).toBe(Y_MAC)
    expect((await here('apply')).json, 'counters stay').toMatchObject({changed: false, redirects: [{packets: 1}]})

    // Somebody's hand in our table.
    await run('sw', 'nft flush chain bridge gwswitch_proxy from_vms')
    const {json} = await here('list')
    expect(json).toMatchObject({exitCode: 10, redirects: [{state: 'different'}]})
    expect(json.redirects[0].differences).toEqual([expect.stringMatching(/chain from_vms: rule .* is missing/)])
    expect(await leavesBy()).toBe(X_MAC)
    expect((await here('apply')).json).toMatchObject({changed: true, redirects: [ROW]})
    expect(await leavesBy()).toBe(Y_MAC)
  })

  it('shows what no record knows, and a port that is gone', async () => {
    const {run} = await redirected()
    await run('sw', 'rm /run/gwswitch/netns-*/mac-proxy.json')
    expect(await here('list')).toMatchObject({
      code: 10,
      json: {redirects: [{vm: {name: null, ip: null, mac: VM_MAC, segment: null}, state: 'unrecorded'}]},
    })
    expect((await here('release', '--all')).json).toMatchObject({changed: true, released: [{vm: {mac: VM_MAC}}]})
    expect(await run('sw', 'nft list ruleset')).toBe('')

    await redirected()
    await run('sw', 'ip link set vnet0 nomaster')
    expect(await here('list')).toMatchObject({code: 0, json: {redirects: [{...ROW, state: 'port-gone'}]}})
    await run('sw', 'ip link set vnet0 master br0')
  })

  it('goes with a switch to the gateway that the VM uses itself, and no inverse one comes', async () => {
    const {run, leavesBy} = await redirected()
    const {json, exit} = await switchIn(lab(), {strategy: 'mac-proxy', to: 'x'})
    expect({exit, end: json.end}).toEqual({exit: 0, end: 'switched'})
    expect(await run('sw', 'nft list ruleset')).toBe('')
    expect((await here('list')).json.redirects).toEqual([])
    expect(await leavesBy()).toBe(X_MAC)
  })

  it('stands in the way of every other switch, which names what lifts it and sends nothing', async () => {
    const at = await redirected()
    await at.run('vm', `ip neigh replace 10.1.0.254 lladdr ${Y_MAC} dev eth0 nud reachable`)
    const {json, exit} = await switchIn(at, {strategy: 'arp', to: 'x'})
    expect(exit).toBe(2)
    expect(json).toMatchObject({
      error: {
        message: `the bridge here redirects what db-03 sends to bx (${X_MAC}) to by (${Y_MAC}) (mac-proxy): lift that first, gwswitch mac-proxy release db-03`,
      },
    })
    expect(await at.gateway(), 'nothing was said to the VM').toBe(Y_MAC)
    expect((await here('release', 'db-03')).code).toBe(0)
    expect(await switchIn(at, {strategy: 'arp', to: 'x'})).toMatchObject({exit: 0, json: {end: 'switched'}})
    expect(await at.leavesBy()).toBe(X_MAC)
  })

  it('is said by who and trace', async () => {
    const at = await redirected()
    const said = `the bridge here redirects what db-03 sends to bx (${X_MAC}) to by (${Y_MAC}) (mac-proxy)`
    const who = await cli(at, 'who', 'db-03', '-i', 'vnet0', '--site', 'y', '-f', at.inventoryFile, '--json')
    const text = expect.stringContaining(`${said}: its packets leave there`)
    expect(who.json.redirected).toMatchObject([{vm: 'db-03', from: X_MAC, to: Y_MAC, text}])
    const atX = await cli(at, 'who', 'db-03', '-i', 'vnet0', '--site', 'x', '-f', at.inventoryFile, '--json')
    expect(atX, 'it should use what it is redirected from').toMatchObject({
      code: 11,
      json: {rows: [{verdict: 'as-expected', code: 'unverified'}], exitCode: 11},
    })
    const trace = ['trace', '--port-of', 'db-03', '-f', at.inventoryFile]
    const pairs = await cli(at, ...trace, BEYOND)
    expect(pairs.code).toBe(2)
    expect(pairs.stderr).toContain(`${said}: its gateways cannot be compared from its port; gwswitch mac-proxy release`)
    expect((await cli(at, ...trace, '--passive', '1')).stderr).toContain(said)
  })

  it('is not hindered by ports that are up without a carrier', async () => {
    await lab().restore()
    await lab().run('sw', 'ip tuntap add dev vnet9 mode tap; ip link set vnet9 master br0 up')
    try {
      expect(await lab().run('sw', 'ip -br link show vnet9')).toContain('NO-CARRIER')
      expect(await switchIn(lab(), {strategy: 'mac-proxy'})).toMatchObject({exit: 0, json: {end: 'switched'}})
      expect(await lab().leavesBy()).toBe(Y_MAC)
    } finally {
      await lab().run('sw', 'ip link del vnet9')
    }
  })
})
