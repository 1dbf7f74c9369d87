import {rmSync, writeFileSync} from 'node:fs'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import type {AgentState, SwitchMode} from '../../src/wire/agent-message.ts'
import {type AgentProcess, FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {noNamespaces} from '../support/namespaces.ts'

/** More than any switch has. */
const LAST_CALL = 40

describe.skipIf(noNamespaces)('an agent that is killed', () => {
  // Not `rule`: drain does all that rule does, and more.
  it.each<SwitchMode>(['replace', 'drain'])(
    'after any one of its calls that change something (%s), leaves a VM that the next one puts right',
    {timeout: 300_000},
    async (mode) => {
      await withSite({config: {probes: [FAR4], windows: {probeMs: 1500, guardS: 0}}}, async (site) => {
        const trap = `${site.configFile}.trap`
        const before = await site.routing()
        const ends: string[] = []
        let agent = await site.start()
        let call = 1
        for (; call < LAST_CALL; call++) {
          const run = `kill-${call}`
          const token = site.sign(site.command({run, gw4: NEW4, mode}))
          writeFileSync(trap, String(call))
          const killed = await doomed(site, token, run, agent)
          rmSync(trap)
          const how = killed ? `${call} ${agent.log().match(/killed .*/)?.[0]}` : 'not killed'
          if (killed) agent = await site.start()
          // The very same message again, as a controller would that heard nothing: it is obeyed once, or not at all.
          const end = `${how}: ${await decision(site, token, run)}`
          ends.push(end)
          if (end.endsWith('confirmed')) {
            expect(await site.gateway(), end).toBe(NEW4)
          } else {
            expect(await site.gateway(), end).toBe(OLD4)
            expect(await site.routing(), end).toBe(before)
            expect(await site.run('vm', 'nft', 'list', 'tables'), end).not.toMatch(/gwswitch/)
          }
          await site.run('vm', 'ping', '-c1', '-W2', FAR4)
          if (end.endsWith('confirmed')) await site.ask({op: 'rollback', run})
          expect(await site.routing(), end).toBe(before)
          if (!killed) break
        }
        expect(call).toBeLessThan(LAST_CALL)
        // Killed before there was anything to undo, in the middle, and after it was proved.
        expect(ends[0]).toMatch(/^1 killed after replace: confirmed/)
        expect(ends.join('\n')).toMatch(/rolled_back/)
        expect(ends.at(-2)).toMatch(/killed after writeDurably: confirmed/)
      })
    },
  )
})

/** Sends until the agent is dead; false if the switch was carried through instead. */
async function doomed(site: Site, token: string, run: string, agent: AgentProcess): Promise<boolean> {
  for (let round = 0; round < 750; round++) {
    if (round % 25 === 0) site.send(token)
    await delay(20)
    if (agent.child.signalCode !== null) return true
    if (
      site.answers.some(
        (answer) => answer.run === run && ['confirmed', 'refused', 'rolled_back'].includes(answer.state),
      )
    ) {
      // The trap may lie right behind the last answer.
      await Promise.race([agent.ended, delay(150)])
      return agent.child.signalCode !== null
    }
  }
  throw new Error(`${run} came to no end: ${agent.log()}`)
}

/** Sends until the agent has written down how the switch ended. */
async function decision(site: Site, token: string, run: string): Promise<AgentState> {
  for (let round = 0; round < 750; round++) {
    if (round % 25 === 0) site.send(token)
    await delay(20)
    const {last} = site.memory()
    if (last?.run === run && last.phase === 'done') return last.state
  }
  throw new Error(`${run} was not decided: ${JSON.stringify(site.memory().last)}`)
}
