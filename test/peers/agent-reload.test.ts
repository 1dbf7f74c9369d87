// The agent as its service runs it: what it may do, and what becomes of it when its configuration changes (SIGHUP).
import {readFileSync, writeFileSync} from 'node:fs'
import {request} from 'node:http'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {CAP_NET_ADMIN, CAP_NET_RAW} from '../../src/net/process/confine.ts'
import {newPrivateKey, publicKeyText, signCommand} from '../../src/wire/agent-message.ts'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {heldRights} from '../support/held-rights.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {readMetrics} from '../support/prometheus.ts'
import {until} from '../support/until.ts'

const program = [process.execPath, join(import.meta.dirname, '../../bin/run.js'), 'agent', '--config']
type Written = {trusted: Record<string, {key: string; gateways: string[]}>}
const read = (site: Site): Written => JSON.parse(readFileSync(site.configFile, 'utf8')) as Written
const write = (site: Site, config: object): void => writeFileSync(site.configFile, JSON.stringify(config))

/** As whatever scrapes by HTTP does it. */
const scraped = (socketPath: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({socketPath, path: '/metrics'}, (answer) => {
      let text = ''
      answer.on('data', (part: Buffer) => (text += part.toString()))
      answer.on('end', () => resolve(text))
    })
    asked.on('error', reject)
    asked.end()
  })

describe.skipIf(noNamespaces)('an agent that is told to read its configuration again', () => {
  it('does so without losing a switch that waits for its confirmation, and goes on as before where it is wrong', async () => {
    await withSite({config: {probes: [FAR4], windows: {guardS: 0}}}, async (site) => {
      const agent = await site.start({program})
      const count = (what: RegExp): number => agent.log().match(what)?.length ?? 0
      const applied = await site.ask({gw4: NEW4, confirm_s: 60}, ({state}) => state === 'applied')

      const fresh = newPrivateKey()
      const config = read(site)
      write(site, {...config, prober: []})
      agent.child.kill('SIGHUP')
      await until(async () => count(/configuration not taken: .*prober is not a key/g) === 1, 30_000, agent.log())
      expect(count(/listens on/g)).toBe(1)

      write(site, {...config, state: join(site.directory, 'elsewhere')})
      agent.child.kill('SIGHUP')
      await until(async () => count(/not taken: another state or socket/g) === 1, 30_000, agent.log())

      const trusted = {...config.trusted, 'site-z': {key: publicKeyText(fresh), gateways: [OLD4, NEW4]}}
      write(site, {...config, trusted})
      agent.child.kill('SIGHUP')
      await until(async () => count(/listens on/g) === 2, 30_000, agent.log())
      // The same process, in the same switch.
      expect(agent.child.exitCode).toBeNull()
      expect(await site.gateway()).toBe(NEW4)
      const confirmed = await site.ask({op: 'confirm', run: applied.run}, ({state}) => state !== 'applied')
      expect(confirmed).toMatchObject({state: 'confirmed', gw4: NEW4})

      // The new key is obeyed.
      const order = site.command({gw4: OLD4})
      const token = signCommand(order, {kid: 'site-z', privateKey: fresh})
      await until(
        async () => {
          site.send(token)
          return site.answers.some(({seq, state}) => seq === order.seq && state === 'confirmed')
        },
        30_000,
        'the new key is obeyed',
      )
      expect(await site.gateway()).toBe(OLD4)
    })
  })

  it('may change the network and write its state, and nothing else', async () => {
    await withSite({config: {probes: [FAR4], windows: {guardS: 0}}}, async (site) => {
      const agent = await site.start({program})
      expect(heldRights(agent.child.pid!)).toEqual({capabilities: [CAP_NET_ADMIN, CAP_NET_RAW], noNewPrivileges: true})
      expect(await site.ask({gw4: NEW4})).toMatchObject({state: 'confirmed'})
      expect(await site.ask({gw4: OLD4, mode: 'drain'})).toMatchObject({state: 'confirmed'})

      // What it did is counted, for who may open its socket, and written down.
      const socket = join(site.directory, 'agent.sock')
      const metrics = readMetrics(await scraped(socket))
      expect(metrics.get('gwswitch_agent_commands_total{outcome="obeyed"}')).toBe(2)
      expect(metrics.get('gwswitch_agent_last_switch{state="confirmed"}')).toBe(1)
      const lines = readFileSync(join(site.directory, 'state/audit.jsonl'), 'utf8').trimEnd().split('\n')
      const events = lines.map((line) => JSON.parse(line) as Record<string, string>)
      expect(events[0]).toMatchObject({GWSWITCH_EVENT: 'start'})
      expect(events.filter(({GWSWITCH_PHASE}) => GWSWITCH_PHASE === 'done')).toMatchObject([
        {GWSWITCH_KID: 'site-y', GWSWITCH_STATE: 'confirmed', GWSWITCH_GATEWAYS: `${OLD4} to ${NEW4}`},
        {GWSWITCH_MODE: 'drain', GWSWITCH_GATEWAYS: `${NEW4} to ${OLD4}`},
      ])
    })
  })
})
