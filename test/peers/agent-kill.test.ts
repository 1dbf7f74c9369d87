import {describe, expect, it} from 'vitest'
import type {AgentState, SwitchMode} from '../../src/wire/agent-message.ts'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {noNamespaces} from '../support/namespaces.ts'

/** More than any switch has. */
const LAST_CALL = 60

describe.skipIf(noNamespaces)('an agent that is killed', () => {
  // Not `rule`: drain does all that rule does, and more. The first two calls are those of starting.
  it.each<[SwitchMode, number]>([
    ['replace', 3],
    ['drain', 3],
  ])(
    'after any one of its calls that change something (%s), leaves a VM that the next one puts right',
    {timeout: 300_000},
    async (mode, first) => {
      await withSite({config: {probes: [FAR4], windows: {probeMs: 1500, guardS: 0}}}, async (site) => {
        const before = await site.routing()
        const ends: string[] = []
        let call = first
        for (; call < LAST_CALL; call++) {
          const doomed = await site.start({trap: `after:${call}`})
          const run = `kill-${call}`
          const asked = site.command({run, gw4: NEW4, mode})
          const token = site.sign(asked)
          const alive = await answered(site, token, asked.seq, doomed.ended)
          const survived = doomed.child.signalCode === null && alive
          if (survived) await doomed.kill('SIGTERM')
          const next = await site.start()
          // The very same message again, as a controller would that heard nothing: it is obeyed once, or not at all.
          const decided = await decision(site, token, run)
          ends.push(`${call} ${doomed.log().match(/killed .*/)?.[0] ?? 'not killed'}: ${decided}`)
          if (decided === 'confirmed') expect(await site.gateway(), ends.at(-1)).toBe(NEW4)
          else {
            expect(await site.gateway(), ends.at(-1)).toBe(OLD4)
            expect(await site.routing(), ends.at(-1)).toBe(before)
            expect(await site.run('vm', 'nft', 'list', 'tables'), ends.at(-1)).not.toMatch(/gwswitch/)
          }
          await site.run('vm', 'ping', '-c1', '-W2', FAR4)
          if (decided === 'confirmed') await site.ask({op: 'rollback', run})
          expect(await site.routing(), ends.at(-1)).toBe(before)
          await next.kill('SIGTERM')
          if (survived) break
        }
        expect(call).toBeLessThan(LAST_CALL)
        // It was killed before, between and after: both ends have been seen.
        expect(ends.join('\n')).toMatch(/rolled_back/)
        expect(ends.join('\n')).toMatch(/confirmed/)
      })
    },
  )
})

/** Sends until the agent has written down how the switch ended. */
async function decision(site: Site, token: string, run: string): Promise<AgentState> {
  for (let round = 0; round < 750; round++) {
    if (round % 25 === 0) site.send(token)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const {last} = site.memory()
    if (last?.run === run && last.phase === 'done') return last.state
  }
  throw new Error(`${run} was not decided: ${JSON.stringify(site.memory().last)}`)
}

/** Sends until the switch is decided or the agent is dead. */
async function answered(site: Site, token: string, seq: number, ended: Promise<void>): Promise<boolean> {
  let dead = false
  void ended.then(() => (dead = true))
  for (let round = 0; !dead && round < 500; round++) {
    if (round % 10 === 0) site.send(token)
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (
      site.answers.some(
        (answer) => answer.seq === seq && ['confirmed', 'refused', 'rolled_back'].includes(answer.state),
      )
    ) {
      // The trap may lie behind the last answer.
      await new Promise((resolve) => setTimeout(resolve, 100))
      return !dead
    }
  }
  return false
}
