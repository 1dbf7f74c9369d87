import {rmSync, writeFileSync} from 'node:fs'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import type {AgentState, SwitchMode} from '../../src/wire/agent-message.ts'
import {type AgentProcess, FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {noNamespaces} from '../support/namespaces.ts'

/** More than any switch has. */
const LAST_CALL = 40

/** Calls of the trial of a gateway. */
const TRIAL = 5

const CONFIG = {probes: [FAR4], windows: {probeMs: 1500, guardS: 0}}

describe.skipIf(noNamespaces)('an agent that is killed', () => {
  // Not `rule`: drain does all that rule does, and more. Calls 1 to 5, the trial of the gateway, are the same in each.
  it.each<[SwitchMode, number]>([
    ['replace', 1],
    ['drain', TRIAL + 1],
  ])(
    'after any one of its calls that change something (%s, from call %d on), leaves a VM that the next one puts right',
    {timeout: 300_000},
    async (mode, first) => {
      await withSite({config: CONFIG}, async (site) => {
        const before = await site.routing()
        const ends: string[] = []
        let agent = await site.start()
        let call = first
        for (; call < LAST_CALL; call++) {
          const run = `kill-${call}`
          const token = site.sign(site.command({run, gw4: NEW4, mode}))
          const killed = await killedAt(`${call}`, site, () => doomed(site, token, run, agent))
          const how = killed ? `${call} ${agent.log().match(/killed .*/)?.[0]}` : 'not killed'
          if (killed) agent = await site.start()
          ends.push(await putRight(site, {token, run, how, before}))
          if (!killed) break
        }
        expect(call).toBeLessThan(LAST_CALL)
        // Killed before there was anything to undo, in the middle, and after it was proved.
        if (first === 1) {
          expect(ends[0]).toMatch(/^1 killed after writeDurably: refused/)
          expect(ends[1]).toMatch(/^2 killed after replace: refused/)
          expect(ends[TRIAL - 1]).toMatch(/killed after deleteRoute: refused/)
        }
        expect(ends[TRIAL + 1 - first]).toMatch(/killed after writeDurably: rolled_back/)
        expect(ends.at(-2)).toMatch(/killed after writeDurably: confirmed/)
      })
    },
  )

  // While the gateway is tried, while the routes change, and when that is done. In mode drain at the last of its rules, which
  // has all before it to undo. All of them, in memory: services/agent/kill.
  it.each<[SwitchMode, string, AgentState]>([
    ['replace', '1 addRule', 'refused'],
    ['replace', '1 append', 'rolled_back'],
    ['replace', '3 writeDurably', 'confirmed'],
    ['drain', '4 addRule', 'rolled_back'],
  ])(
    'in a switch (%s, call %s) and again while the next one recovers, leaves a VM that the third one puts right: %s',
    {timeout: 300_000},
    async (mode, call, end) => {
      await withSite({config: CONFIG}, async (site) => {
        const before = await site.routing()
        let agent = await site.start()
        for (let again = 1; again < LAST_CALL; again++) {
          const run = `twice-${again}`
          const token = site.sign(site.command({run, gw4: NEW4, mode}))
          expect(await killedAt(call, site, () => doomed(site, token, run, agent))).toBe(true)
          const killed = await killedAt(`${again}`, site, async () => {
            agent = await site.start()
            return agent.child.signalCode !== null
          })
          const how = killed ? `${call}, ${again} ${agent.log().match(/killed .*/)?.[0]}` : `${call}, not killed again`
          if (killed) agent = await site.start()
          expect(await putRight(site, {token, run, how, before})).toBe(`${how}: ${end}`)
          if (killed) continue
          // At least how it ended was written down.
          expect(again).toBeGreaterThan(1)
          return
        }
        throw new Error(`killed ${LAST_CALL} times while it recovered`)
      })
    },
  )
})

/** A few in every run; `GWSWITCH_KILLS=200` for all. */
const KILLS = Number(process.env.GWSWITCH_KILLS ?? 16)

describe.skipIf(noNamespaces)('an agent that is killed at any moment', () => {
  it('of a switch in any mode, to another gateway or to the one in use, leaves a default route', {
    timeout: 1_800_000,
  }, async () => {
    await withSite({config: CONFIG}, async (site) => {
      for (let kill = 0; kill < KILLS; kill++) {
        const agent = await site.start()
        const mode = (['replace', 'rule', 'drain', undefined] as const)[kill % 4]
        const [used, other] = (await site.gateway()) === OLD4 ? [OLD4, NEW4] : [NEW4, OLD4]
        const gw4 = kill % 3 === 0 ? used : other
        const run = `any-${kill}`
        site.send(site.sign(site.command({run, gw4, ...(mode && {mode})})))
        // What it does takes some 30 ms on a quiet machine: before, in the middle, after.
        await delay(Math.random() * 60)
        await agent.kill('SIGKILL')
        const after = await site.gateway()
        const what = `${run}: ${mode ?? 'auto'} from ${used} to ${gw4}: ${after}`
        expect([OLD4, NEW4], what).toContain(after)
        expect(await site.run('vm', 'ip', '-4', 'route', 'show', 'default'), what).toMatch(
          /^default via 10\.0\.0\.[12] /,
        )
      }
      // Whoever comes next ends it: on the old gateway or a proved one, and takes commands.
      await site.start()
      const used = (await site.gateway())!
      expect(await site.ask({gw4: used === OLD4 ? NEW4 : OLD4, mode: 'rule'})).toMatchObject({state: 'confirmed'})
      await site.run('vm', 'ping', '-c1', '-W2', FAR4)
    })
  })
})

/** Sets the trap for a change: the one of that number from now on, see agent-process. */
async function killedAt(call: string, site: Site, run: () => Promise<boolean>): Promise<boolean> {
  const trap = `${site.configFile}.trap`
  writeFileSync(trap, call)
  try {
    return await run()
  } finally {
    rmSync(trap)
  }
}

interface Killed {
  readonly token: string
  readonly run: string
  readonly how: string
  /** The VM's routing as it was. */
  readonly before: string
}

/** What the agent that runs now makes of it, and that the VM is as it says; then everything is undone. */
async function putRight(site: Site, {token, run, how, before}: Killed): Promise<string> {
  // The very same message again, as a controller would that heard nothing: it is obeyed once, or not at all.
  const end = `${how}: ${await decision(site, token, run)}`
  if (end.endsWith('confirmed')) {
    expect(await site.gateway(), end).toBe(NEW4)
  } else {
    expect(site.memory().last, end).toMatchObject({reason: 'agent_stopped'})
    expect(await site.gateway(), end).toBe(OLD4)
    expect(await site.routing(), end).toBe(before)
    expect(await site.run('vm', 'nft', 'list', 'tables'), end).not.toMatch(/gwswitch/)
  }
  await site.run('vm', 'ping', '-c1', '-W2', FAR4)
  if (end.endsWith('confirmed')) await site.ask({op: 'rollback', run})
  expect(await site.routing(), end).toBe(before)
  return end
}

/** Sends until the agent is dead; false if the switch was carried through instead. */
async function doomed(site: Site, token: string, run: string, agent: AgentProcess): Promise<boolean> {
  for (let round = 0; round < 3000; round++) {
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
  for (let round = 0; round < 3000; round++) {
    if (round % 25 === 0) site.send(token)
    await delay(20)
    const {last} = site.memory()
    if (last?.run === run && last.phase === 'done') return last.state
  }
  throw new Error(`${run} was not decided: ${JSON.stringify(site.memory().last)}`)
}
