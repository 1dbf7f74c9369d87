// An agent that is ended while a switch waits for its confirmation: started again, or not.
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {type AgentProcess, FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const program = [process.execPath, join(import.meta.dirname, '../../bin/run.js'), 'agent', '--config']
const CONFIG = {probes: [FAR4], windows: {guardS: 0}}

/** The processes that watch over a deadline in this site. */
const keepers = ({configFile}: Site): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const words = commandOf(pid)
      return words.includes('deadline-main') && words.includes(configFile)
    })
    .map(Number)

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

const noKeeper = (site: Site) => until(async () => keepers(site).length === 0, 30_000, 'nobody watches any more')

/** A switch is applied and waits; `seconds` from its deadline, which is returned, ms by performance.now(). */
async function pending(site: Site, seconds: number): Promise<{agent: AgentProcess; run: string; deadlineMs: number}> {
  const agent = await site.start({program})
  const {run} = await site.ask({gw4: NEW4, confirm_s: seconds}, ({state}) => state === 'applied')
  const uptimeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000
  const leftMs = site.memory().last!.deadline!.uptimeMs - uptimeMs
  return {agent, run, deadlineMs: performance.now() + leftMs}
}

/** ms after the deadline. */
async function wentBack(site: Site, deadlineMs: number): Promise<number> {
  await until(async () => (await site.gateway()) === OLD4, 30_000, 'the VM is back')
  return performance.now() - deadlineMs
}

describe.skipIf(noNamespaces)('a switch that waits for its confirmation', () => {
  it('outlives a restart of its agent (SIGTERM), and is confirmed by the next one', async () => {
    await withSite({config: CONFIG}, async (site) => {
      const {agent, run} = await pending(site, 60)
      await agent.kill('SIGTERM')
      expect(agent.child.exitCode).toBe(0)
      expect(await site.gateway()).toBe(NEW4)
      expect(site.memory().last).toMatchObject({run, phase: 'applied'})

      await site.start({program})
      expect(await site.gateway()).toBe(NEW4)
      expect(await site.ask({op: 'confirm', run})).toMatchObject({state: 'confirmed', gw4: NEW4})
      await noKeeper(site)
    })
  })

  it('is taken back by the next one at the deadline that it had before', async () => {
    await withSite({config: CONFIG}, async (site) => {
      const before = await site.routing()
      const {agent, deadlineMs} = await pending(site, 12)
      await agent.kill('SIGTERM')
      await site.start({program})
      const lateMs = await wentBack(site, deadlineMs)
      expect(lateMs).toBeGreaterThan(-200)
      expect(lateMs).toBeLessThan(20_000)
      await until(async () => site.memory().last?.phase === 'done', 10_000, 'it is written down')
      expect(site.memory().last).toMatchObject({state: 'rolled_back', reason: 'not_confirmed'})
      expect(await site.routing()).toBe(before)
    })
  })

  it.each(['replace', 'drain'] as const)(
    'is taken back at its deadline though no agent comes any more (%s)',
    async (mode) => {
      await withSite({config: {...CONFIG, mode}}, async (site) => {
        const before = await site.routing()
        const {agent, deadlineMs} = await pending(site, 5)
        await agent.kill('SIGTERM')
        expect(keepers(site)).toHaveLength(1)
        const lateMs = await wentBack(site, deadlineMs)
        expect(lateMs).toBeGreaterThan(-200)
        expect(lateMs).toBeLessThan(20_000)
        await noKeeper(site)
        expect(site.memory().last).toMatchObject({state: 'rolled_back', reason: 'not_confirmed'})
        expect(await site.routing()).toBe(before)
        // The next one has nothing to do with it, and takes commands.
        await site.start({program})
        expect(await site.ask({gw4: NEW4})).toMatchObject({state: 'confirmed'})
      })
    },
  )

  it('is taken back at once by Ctrl-C, or when who watches over its deadline is ended too', async () => {
    await withSite({config: CONFIG}, async (site) => {
      const first = await pending(site, 60)
      await first.agent.kill('SIGINT')
      expect(await site.gateway()).toBe(OLD4)
      expect(site.memory().last).toMatchObject({state: 'rolled_back', reason: 'agent_stopped'})
      expect(keepers(site)).toEqual([])

      const second = await pending(site, 60)
      await second.agent.kill('SIGTERM')
      const [keeper] = keepers(site)
      process.kill(keeper!, 'SIGTERM')
      await noKeeper(site)
      expect(await site.gateway()).toBe(OLD4)
      expect(site.memory().last).toMatchObject({state: 'rolled_back', reason: 'agent_stopped'})
    })
  })
})
