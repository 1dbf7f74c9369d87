// The arp strategy on a host with both families: everything moves, is proved, and comes back together.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import {spawnIn} from '../../src/net/process/netns.ts'
import {arp} from '../../src/strategies/arp/arp.ts'
import {announcementFrame} from '../../src/strategies/arp/frames.ts'
import {carryOut} from '../../src/strategies/carry-out.ts'
import {gwswitch} from '../support/cli.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {type SegmentLab, VM_MAC, withSegmentLab, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {until} from './arp-lab.ts'
import {linkIn, worldIn} from './arp-link.ts'

const VM6 = '2001:db8:1::10'
const PORT = 'vnet0'

interface Gateways6 {
  readonly x: string
  readonly y: string
}

/** A VM that holds both families' gateway at X; a router that is not shared is one that it learned of by its advertisement. */
async function withVm<T>(ip6: Gateways6, fn: (lab: SegmentLab) => Promise<T>): Promise<T> {
  return withSegmentLab({ip6: {...ip6, vm: VM6}, segmentKeys: '    ports: [p-gx]'}, async (lab) => {
    if (ip6.x === ip6.y) return fn(lab)
    await lab.run('vm', 'ip -6 route del default')
    await using link = await linkIn(lab.ns('sw'), PORT)
    link.send(announcementFrame('ra', {ip: ip6.x, mac: X_MAC}, {vm: {ip: VM6, mac: VM_MAC}}, link.mac).bytes)
    await until(
      () => routers(lab),
      (all) => all.length > 0,
    )
    return await fn(lab)
  })
}

async function planned(lab: SegmentLab) {
  const inventory = parseInventory(lab.inventory, 'gwswitch.yaml')
  const switchover = switchoverFrom(resolveSwitchover(inventory, {vm: 'db-03', to: 'y'}))
  return arp.plan(switchover, {interfaceName: PORT}, worldIn(lab.ns('sw')))
}

const neighbour = async (lab: SegmentLab, ip: string): Promise<string | undefined> =>
  (JSON.parse(await lab.run('vm', `ip -json neigh show ${ip} dev eth0`)) as {lladdr?: string}[])[0]?.lladdr
async function routers(lab: SegmentLab): Promise<string[]> {
  const routes = JSON.parse(await lab.run('vm', 'ip -json -6 route show default')) as {gateway: string}[]
  return routes.map(({gateway}) => gateway)
}

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-radvd-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

/** Lets gateway X advertise itself every few seconds, by radvd(8), which ends with the lab. */
function advertise(lab: SegmentLab, speaker: string): void {
  const config = join(folder, `${speaker.replaceAll(':', '')}.conf`)
  writeFileSync(
    config,
    `interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1800; AdvRASrcAddress { ${speaker}; }; };`,
    {mode: 0o644},
  )
  const start = `ip address replace ${speaker}/64 dev eth0 nodad; exec radvd -n -m stderr -C ${config} -p ${config}.pid`
  spawnIn(lab.ns('gx'), ['sh', '-c', start], {stdio: 'ignore'})
}

describe.skipIf(noNamespaces)('the arp strategy with IPv6', () => {
  it('moves the shared addresses of both families', async () => {
    await withVm({x: 'fe80::1', y: 'fe80::1'}, async (lab) => {
      const world = worldIn(lab.ns('sw'))
      const outcome = await carryOut(arp, await planned(lab), world, {signal: new AbortController().signal, hold: true})
      expect(outcome).toMatchObject({
        end: 'switched',
        before: {name: 'bx'},
        verdict: {
          ...{ok: true, code: 'served', uses: {name: 'by'}},
          evidence: [
            `db-03 leaves through by (${Y_MAC})`,
            `db-03 leaves over IPv6 through by (${Y_MAC})`,
            expect.stringMatching(/^by .* takes packets on: | answers db-03 through it$/),
            expect.stringMatching(/^by takes IPv6 on: | answers db-03 through it$/),
          ],
        },
      })
      expect([await neighbour(lab, '10.1.0.254'), await neighbour(lab, 'fe80::1')]).toEqual([Y_MAC, Y_MAC])
      expect(await routers(lab)).toEqual(['fe80::1'])
    })
  })

  it('takes the default route to a router with an address of its own, and back', async () => {
    await withVm({x: 'fe80::a', y: 'fe80::b'}, async (lab) => {
      const world = worldIn(lab.ns('sw'))
      const {plan, end, verdict} = await carryOut(arp, await planned(lab), world, {
        ...{signal: new AbortController().signal, hold: true},
      })
      expect({end, verdict}).toMatchObject({end: 'switched', verdict: {ok: true, code: 'served'}})
      expect(await routers(lab)).toEqual(['fe80::b'])
      const stage = {world, signal: new AbortController().signal, observe: () => {}}
      expect(await arp.rollback(plan, stage)).toMatchObject({ok: true, uses: {name: 'bx'}})
      expect(await routers(lab)).toEqual(['fe80::a'])
      expect(await neighbour(lab, '10.1.0.254')).toBe(X_MAC)
    })
  })

  it.each([
    ['of its own', {x: 'fe80::a', y: 'fe80::b'}, ['fe80::b'], 'fe80::a'],
    ['that the gateways share', {x: 'fe80::1', y: 'fe80::1'}, ['fe80::1'], 'fe80::2'],
  ])(
    'held on a router with an address %s, takes back what the old one advertises, and names it',
    async (_what, ip6, wanted, speaker) => {
      if (!(await hasProgram('radvd'))) return
      await withVm(ip6, async (lab) => {
        const old = `router advertisement of ${speaker}, which routes for 1800 s, from bx (site x), ${X_MAC}: `
        const world = worldIn(lab.ns('sw'))
        const plan = {...(await planned(lab)), guardMs: 6000}
        const outcome = await carryOut(arp, plan, world, {
          ...{signal: new AbortController().signal, hold: true},
          onStep: (step) => void (step === 'hold' && advertise(lab, speaker)),
        })
        expect(outcome.verdict?.evidence.find((line) => line.includes(old))).toMatch(
          /: (won back after \S+ ms|without effect|withdrawn in its name)$/,
        )
        expect(outcome).toMatchObject({end: 'switched', verdict: {ok: true}})
        expect(await routers(lab)).toEqual(wanted)
      })
    },
  )

  it("is undone by the old router's next advertisement, unless the filter holds that back", async () => {
    await withVm({x: 'fe80::a', y: 'fe80::b'}, async (lab) => {
      const inSwitch = (...args: string[]) =>
        gwswitch([...args, '-f', lab.inventoryFile, '--json'], {namespace: lab.ns('sw')})
      const toY = ['switch', 'db-03', '--to', 'y', '--strategy', 'arp', '-i', PORT]
      const cautions = async (): Promise<string> => (await inSwitch(...toY, '--dry-run')).json.plan.cautions.join('\n')
      const advertises = async (): Promise<void> => {
        await using link = await linkIn(lab.ns('gx'), 'eth0')
        link.send(announcementFrame('ra', {ip: 'fe80::a', mac: X_MAC}, {}, link.mac).bytes)
      }
      expect(await cautions()).toMatch(
        /^the next router advertisement of bx that reaches db-03 takes its IPv6 back: this host has no filter/m,
      )
      expect((await inSwitch(...toY)).json).toMatchObject({end: 'switched', code: 'served'})
      expect(await routers(lab)).toEqual(['fe80::b'])
      await advertises()
      const undone = await until(
        () => routers(lab),
        (all) => all.includes('fe80::a'),
      )
      expect(undone).toContain('fe80::a')

      await lab.run('vm', 'ip -6 route del default via fe80::a')
      expect((await inSwitch('filter', 'apply', '--inbound-moves')).json).toMatchObject({exitCode: 0})
      try {
        expect(await cautions()).not.toMatch(/next router advertisement/)
        await advertises()
        const dropped = await until(
          () => lab.run('sw', 'nft list ruleset'),
          (listing) => /packets [1-9]\d* .*router advertisements/.test(listing),
        )
        expect(dropped).toMatch(/packets 1 .*router advertisements/)
        expect(await routers(lab)).toEqual(['fe80::b'])
      } finally {
        await inSwitch('filter', 'remove')
      }
    })
  })

  it('takes both families back where one does not follow', async () => {
    await withVm({x: 'fe80::1', y: 'fe80::1'}, async (lab) => {
      await lab.run('vm', `ip neigh replace fe80::1 lladdr ${X_MAC} dev eth0 nud permanent`)
      const outcome = await carryOut(arp, await planned(lab), worldIn(lab.ns('sw')), {
        signal: new AbortController().signal,
      })
      expect(outcome).toMatchObject({
        end: 'rolled-back',
        verdict: {
          ...{ok: false, code: 'partial'},
          evidence: expect.arrayContaining([`db-03 leaves over IPv6 through bx (${X_MAC})`]),
        },
        rollback: {ok: true, uses: {name: 'bx'}},
      })
      expect(await neighbour(lab, '10.1.0.254')).toBe(X_MAC)
    })
  })
})
