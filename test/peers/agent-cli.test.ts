import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {tryCommand} from '../../src/net/process/command.ts'
import {openAnswer, readPrivateKey} from '../../src/wire/agent-message.ts'
import {FAR4, NEW4, OLD4, type Site, withSite} from '../services/agent/site.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {asNobody} from '../support/ordinary-user.ts'

const bin = join(import.meta.dirname, '../../bin/run.js')
const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-agent-cli-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

/** `gwswitch agent --once` in the VM, with messages on its standard input. */
const once = (site: Site, ...messages: string[]) =>
  tryCommand(
    'ip',
    ['netns', 'exec', site.ns('vm'), process.execPath, bin, 'agent', '--once', '--config', site.configFile],
    {
      input: messages.map((message) => `${message}\n`).join(''),
    },
  )

it('agent keygen, enroll and status work together, and say what is missing', async () => {
  const config = ['--config', join(scratch, 'agent.yaml')]
  const key = ['--out', join(scratch, 'agent.key')]
  const {json: made} = await gwswitch(['agent', 'keygen', ...key, '--json'])
  expect(made).toMatchObject({schema: 'gwswitch.agent-keygen/1', created: true})
  const enrolled = await gwswitch([
    'agent',
    'enroll',
    ...config,
    '--vm',
    'web-07',
    '--kid',
    'site-y',
    '--key',
    made.publicKey,
    '--gateway',
    '10.0.0.2',
  ])
  expect(enrolled).toMatchObject({code: 0, stderr: expect.stringMatching(/^wrote .*agent\.yaml: web-07 trusts site-y/)})
  const status = await gwswitch(['agent', 'status', ...config])
  expect(status).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^gwswitch: \/etc\/gwswitch\/agent\.key: no such file .*keygen/),
  })
  expect(await gwswitch(['agent', '--config', '/nowhere.yaml'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^gwswitch: \/nowhere\.yaml: no such file .*enroll/),
  })
})

describe.skipIf(noNamespaces)('agent', () => {
  it('--once acts on messages on its standard input, alone and beside an agent that runs', async () => {
    await withSite({config: {probes: [FAR4]}}, async (site) => {
      const switched = await once(site, site.sign(site.command({run: 'a', gw4: NEW4})))
      expect(switched.code, switched.stderr).toBe(0)
      expect(await site.gateway()).toBe(NEW4)
      const agentKey = readPrivateKey(readFileSync(join(site.directory, 'agent.key'), 'utf8'))!
      const states = switched.stdout
        .trim()
        .split('\n')
        .map((token) => openAnswer(Buffer.from(token), () => agentKey))
      expect(states.at(-1)).toMatchObject({ok: true, message: {state: 'confirmed', run: 'a', gw4: NEW4}})

      expect(await once(site, site.sign(site.command({gw4: '10.0.0.3'})))).toMatchObject({code: 4})
      expect(await once(site, 'nonsense')).toMatchObject({code: 5, stdout: ''})
      // Over several messages, the last answer counts.
      const back = await once(
        site,
        site.sign(site.command({op: 'query', run: 'a'})),
        site.sign(site.command({op: 'rollback', run: 'a'})),
      )
      expect(back.code).toBe(0)
      expect(await site.gateway()).toBe(OLD4)

      await site.start()
      const second = await gwswitch(['agent', '--config', site.configFile], {namespace: site.ns('vm')})
      expect(second).toMatchObject({code: 1, stderr: expect.stringMatching(/another agent runs already/)})
      expect(await once(site, site.sign(site.command({run: 'b', gw4: NEW4})))).toMatchObject({code: 0})
      expect(site.memory().last).toMatchObject({run: 'b', state: 'confirmed'})
    })
  })

  it('runs until it is told to stop, and tells its status', async () => {
    await withSite({config: {probes: [FAR4]}}, async (site) => {
      const status = async () =>
        (await gwswitch(['agent', 'status', '--config', site.configFile, '--json'], {namespace: site.ns('vm')})).json
      expect(await status()).toMatchObject({
        schema: 'gwswitch.agent-status/1',
        vm: 'web-07',
        running: false,
        sequences: {},
      })
      const agent = await site.start({program: [process.execPath, bin, 'agent', '--config']})
      expect(
        await site.ask({run: 'a', gw4: NEW4, mode: 'drain', confirm_s: 60}, ({state}) => state === 'applied'),
      ).toBeTruthy()
      expect(await status()).toMatchObject({
        running: true,
        interfaces: [
          {name: 'eth0', family: 4, gateway: NEW4, underlying: OLD4},
          {name: 'eth0', family: 6, gateway: 'fd00::1'},
        ],
        last: {run: 'a', kid: 'site-y', state: 'applied', phase: 'applied', mode: 'drain'},
        rollbackInS: expect.any(Number),
      })
      await site.ask({op: 'confirm', run: 'a'})
      const draining = await status()
      expect(draining).toMatchObject({
        last: {state: 'confirmed'},
        drainEndsInS: expect.any(Number),
        drainedPackets: expect.any(Number),
      })
      const text = (await gwswitch(['agent', 'status', '--config', site.configFile], {namespace: site.ns('vm')})).stdout
      expect(text).toMatch(/web-07: agent runs; key/)
      expect(text).toMatch(/eth0 .* IPv4 gateway 10\.0\.0\.2, by rule over 10\.0\.0\.1/)
      expect(text).toMatch(/run a by site-y: confirmed, mode drain/)
      await agent.kill('SIGTERM')
      expect(agent.child.exitCode).toBe(0)
      expect(existsSync(join(site.directory, 'agent.sock'))).toBe(false)
    })
  })

  it('needs no more than its two capabilities', async () => {
    await withSite({config: {probes: [FAR4]}}, async (site) => {
      await tryCommand('chown', ['-R', '65534:65534', site.directory])
      const script = join(import.meta.dirname, '../services/agent/agent-process.ts')
      const agent = await site.start({program: [...asNobody('+net_admin,+net_raw'), process.execPath, script]})
      const withOnly = (cap: string) =>
        gwswitch(['agent', '--config', site.configFile], {namespace: site.ns('vm'), under: asNobody(cap)})
      for (const mode of ['replace', 'rule', 'drain'] as const) {
        expect(await site.ask({run: mode, gw4: NEW4, mode}), mode).toMatchObject({state: 'confirmed'})
        expect(await site.ask({op: 'rollback', run: mode})).toMatchObject({gw4: OLD4})
      }
      await agent.kill('SIGTERM')
      expect(await withOnly('+net_raw')).toMatchObject({
        code: 6,
        stderr: expect.stringMatching(/needs CAP_NET_ADMIN.*AmbientCapabilities/),
      })
      expect(await withOnly('+net_admin')).toMatchObject({code: 6, stderr: expect.stringMatching(/need CAP_NET_RAW/)})
    })
  })
})
