// A rollback while the VM's interface is down, and a state directory that two users share: with a real kernel.
import {chownSync, readdirSync, readFileSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {tryCommand} from '../../src/net/process/command.ts'
import type {SwitchMode} from '../../src/wire/agent-message.ts'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {asNobody, NOBODY} from '../support/ordinary-user.ts'
import {until} from '../support/until.ts'

const bin = join(import.meta.dirname, '../../bin/run.js')
const script = join(import.meta.dirname, '../services/agent/agent-process.ts')
const asAgent = asNobody('+net_admin,+net_raw')

describe.skipIf(noNamespaces)('an interface that is down when the deadline comes', () => {
  it.each<SwitchMode>(['replace', 'drain'])('is back on the old gateway when it comes up (%s)', async (mode) => {
    await withSite({config: {probes: [FAR4], windows: {probeMs: 500, guardS: 0}}}, async (site) => {
      await site.start()
      const before = await site.routing()
      const begun = await site.ask({run: 'a', gw4: NEW4, mode, confirm_s: 2}, ({state}) => state === 'applied')
      expect(begun).toMatchObject({gw4: NEW4})
      await site.run('vm', 'ip', 'link', 'set', 'eth0', 'down')
      // For longer than the four seconds after which it once gave up.
      await until(async () => site.memory().last?.phase !== 'applied', 10_000, 'the deadline')
      await delay(mode === 'replace' ? 7000 : 1000)
      if (mode === 'replace') expect(site.memory().last).toMatchObject({phase: 'rolling_back', state: 'applied'})
      await site.run('vm', 'ip', 'link', 'set', 'eth0', 'up')
      // What the kernel took away with the interface: IPv6 keeps neither address nor route.
      await site.run('vm', 'ip', 'address', 'replace', 'fd00::10/64', 'dev', 'eth0')
      await site.run('vm', 'ip', 'route', 'replace', 'default', 'via', 'fd00::1', 'dev', 'eth0')
      // In mode drain nothing of it is in force: the owner's own route went with the interface.
      if (mode === 'drain') await site.run('vm', 'ip', 'route', 'replace', 'default', 'via', OLD4, 'dev', 'eth0')
      await until(async () => (await site.gateway()) === OLD4, 15_000, 'the old gateway')
      expect(await site.ask({op: 'query', run: 'a'})).toMatchObject({
        // On a busy machine the interface is down before the proof is done.
        ...{state: 'rolled_back', reason: expect.stringMatching(/^(?:not_confirmed|probe_failed)$/), gw4: OLD4},
      })
      expect(await site.routing()).toBe(before)
      expect(await site.run('vm', 'nft', 'list', 'tables')).not.toMatch(/gwswitch/)
    })
  })
})

describe.skipIf(noNamespaces)('the state of an agent that is not root', () => {
  const stateFile = (site: Site): string => join(site.directory, 'state/agent-state.json')
  const once = (site: Site, message: string) =>
    tryCommand(
      'ip',
      ['netns', 'exec', site.ns('vm'), process.execPath, bin, 'agent', '--once', '--config', site.configFile],
      {input: `${message}\n`},
    )

  const startAsNobody = (site: Site) =>
    gwswitch(['agent', '--config', site.configFile], {
      ...{namespace: site.ns('vm'), under: asAgent},
      // oclif looks into the home of whoever runs it.
      env: {HOME: '/nonexistent'},
    })

  it('can be read by it after root has acted on a message', async () => {
    await withSite({config: {probes: [FAR4]}}, async (site) => {
      await tryCommand('chown', ['-R', `${NOBODY}:${NOBODY}`, site.directory])
      const program = [...asAgent, process.execPath, script]
      const first = await site.start({program})
      expect(await site.ask({run: 'a', gw4: NEW4})).toMatchObject({state: 'confirmed'})
      await first.kill('SIGTERM')
      const switched = await once(site, site.sign(site.command({run: 'b', gw4: OLD4})))
      expect(switched.code, switched.stderr).toBe(0)
      expect(statSync(stateFile(site))).toMatchObject({uid: NOBODY, gid: NOBODY, mode: 0o100600})
      await site.start({program})
      expect(await site.ask({op: 'query', run: 'b'})).toMatchObject({state: 'confirmed', gw4: OLD4})
    })
  })

  it('and if it cannot, it does not begin a new one', async () => {
    await withSite({config: {probes: [FAR4]}}, async (site) => {
      const first = await site.start()
      expect(await site.ask({run: 'a', gw4: NEW4})).toMatchObject({state: 'confirmed'})
      await first.kill('SIGTERM')
      const before = readFileSync(stateFile(site), 'utf8')
      for (const path of ['', 'agent.key', 'agent.yaml']) chownSync(join(site.directory, path), NOBODY, NOBODY)
      const refused = await startAsNobody(site)
      expect(refused.code).toBe(6)
      expect(refused.stderr).toMatch(/^gwswitch: \S*agent-state\.json: cannot be read: EACCES: run this as root.*\n$/)
      expect(readFileSync(stateFile(site), 'utf8')).toBe(before)
    })
  })

  it('and if it cannot be made, that is said at the start, in one line', async () => {
    await withSite({config: {probes: [FAR4], socket: false}}, async (site) => {
      // The key is its own, the directory is not.
      for (const path of ['agent.key', 'agent.yaml']) chownSync(join(site.directory, path), NOBODY, NOBODY)
      await tryCommand('chmod', ['755', site.directory])
      const refused = await startAsNobody(site)
      expect(refused.code).toBe(6)
      expect(refused.stderr).toMatch(
        /^gwswitch: \S*agent-state\.json: cannot be written: EACCES: run this as root.*\n$/,
      )
      expect(readdirSync(site.directory)).not.toContain('state')
    })
  })
})
