// Where open sessions could not be kept, drain is refused before anything is changed; and what keeps them is put back.
import {join} from 'node:path'
import {expect, it} from 'vitest'
import {untracked} from '../../src/net/nft/drain-nft.ts'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const AGENT = join(import.meta.dirname, '../services/agent/agent-process.ts')

const RULES: readonly [string, RegExp | undefined][] = [
  ['notrack', /chain out in table raw keeps TCP from being tracked/],
  ['meta l4proto tcp notrack', /notrack/],
  ['oifname "eth0" notrack', /notrack/],
  // A part, or none of it.
  ['oifname "lo" notrack', undefined],
  ['udp dport 53 notrack', undefined],
  ['ip daddr 192.0.2.1 notrack', undefined],
]

it.skipIf(noNamespaces)('what keeps conntrack from knowing sessions is found', async () => {
  await withSite({}, async (site) => {
    for (const [rule, problem] of RULES) {
      const chain = `chain out { type filter hook output priority raw; ${rule}; }`
      await site.run('vm', 'sh', '-c', `echo 'table inet raw { ${chain}; }' | nft -f -`)
      const said = untracked(await site.run('vm', 'nft', '-j', 'list', 'ruleset'))
      if (problem === undefined) expect(said, rule).toBeUndefined()
      else expect(said, rule).toMatch(problem)
      await site.run('vm', 'nft', 'flush', 'ruleset')
    }
  })
})

it.skipIf(noNamespaces)(
  'drain is refused without nft, with a strict conntrack, and put back after a flush',
  async () => {
    await withSite({config: {probes: [FAR4], windows: {guardS: 0}}}, async (site) => {
      const before = await site.routing()
      const refusal = {state: 'refused', reason: 'mode', gw4: OLD4}
      const bare = await site.start({program: ['env', 'PATH=/nonexistent', process.execPath, AGENT]})
      expect(await site.ask({gw4: NEW4, mode: 'drain'})).toMatchObject({
        ...refusal,
        detail: expect.stringMatching(/needs nft/),
      })
      expect(await site.routing()).toBe(before)
      // Nobody is kept waiting by what was never there.
      expect(await site.ask({run: 'a', gw4: NEW4, mode: 'rule'})).toMatchObject({state: 'confirmed'})
      await site.ask({op: 'rollback', run: 'a'})
      await bare.kill('SIGTERM')

      const agent = await site.start()
      // The table brings conntrack with it, and its settings.
      expect(await site.ask({run: 'b', gw4: NEW4, mode: 'drain', drain_s: 600})).toMatchObject({state: 'confirmed'})
      await site.run('vm', 'nft', 'flush', 'ruleset')
      await until(async () => (await tables(site)).includes('gwswitch_drain'), 10_000, 'the table again')
      const told = /keep open sessions on the old gateway were taken away by another program: put back/
      await until(async () => told.test(agent.log()), 10_000, 'it is told')
      await site.ask({op: 'rollback', run: 'b'})
      await site.run('vm', 'sysctl', '-qw', 'net.netfilter.nf_conntrack_tcp_loose=0')
      expect(await site.ask({gw4: NEW4, mode: 'drain'})).toMatchObject({
        ...refusal,
        detail: expect.stringMatching(/tcp_loose/),
      })
      expect(await site.routing()).toBe(before)
      expect(await tables(site)).not.toMatch(/gwswitch/)
    })
  },
)

const tables = (site: Site): Promise<string> => site.run('vm', 'nft', 'list', 'tables')
