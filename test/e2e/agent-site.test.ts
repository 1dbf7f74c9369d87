// A VM that is moved finds out by the beacons of both sites where it is, asks, and is switched: both ends as people run them.
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {moveVm} from '../../src/lab/vms.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {type Program, RX, RY, useSiteLab} from '../support/site-lab.ts'
import {until} from '../support/until.ts'

describe.skipIf(noNamespaces)('serve site, and an agent with beacons: true', () => {
  const site = useSiteLab({dciDelayMs: 5, wanDelayMs: 1})
  const programs: Record<'x' | 'y' | 'agent', Program> = {} as never

  beforeAll(async () => {
    site.configure('beacons: true')
    programs.x = await site.serve('x')
    programs.y = await site.serve('y', '--key', site.file('site-y.key'), '--json', '--pcap', site.file('y.pcap'))
    programs.agent = await site.agent()
  })
  afterAll(async () => {
    for (const program of Object.values(programs)) await program.end()
  })

  it('tells where the VM is, by the nearer of two sites that are both heard', async () => {
    const hears = async (): Promise<boolean> => {
      const {where} = await site.status()
      return where?.site === 'x' && (where.heard as unknown[]).length === 2
    }
    await until(hears, 20_000, 'it hears both, and knows that it is in x')
    const {where} = await site.status()
    expect(where).toMatchObject({
      ...{beacons: true, phase: 'settled', note: null},
      counts: {ignored: {}},
    })
    expect(where.heard).toHaveLength(2)
    expect(await site.gateway()).toBe(RX)
  })

  it('switches the VM to the gateway of the site it was moved to, verified and confirmed', async () => {
    await (await moveVm(site.lab().prefix, 'web-07', 'y')).announced
    await until(async () => (await site.gateway()) === RY, 40_000, `the VM uses ${RY}: ${programs.agent.log()}`)
    await until(async () => programs.y.log().includes('switched after'), 10_000, programs.y.log())
    expect(programs.agent.log()).toMatch(
      /this VM is in site y\n.*asked 10\.0\.0\.2:6743 for the gateway of site y \(beacons\)/,
    )
    expect(programs.y.log()).toMatch(/web-07 asks for the gateway of site y \(beacons\), uses rx: switching/)
    expect(programs.y.log()).toMatch(
      /web-07 from rx to ry by agent: switched after \d+ ms: web-07 leaves through ry .*says: confirmed/,
    )
    const status = await site.status()
    expect(status).toMatchObject({
      // More than once where the controller takes longer than the agent waits, which asks again then.
      ...{where: {site: 'y', phase: 'settled', note: {why: 'beacons', site: 'y', sent: expect.any(Number)}}},
      last: {kid: 'site-y', state: 'confirmed'},
    })
    const text = await gwswitch(['agent', 'status', '--config', site.agentConfig], {namespace: site.lab().ns('web-07')})
    // One that is on its way while the VM moves may come twice, at either place.
    expect(text.stdout).toMatch(
      /site y; \d+ beacons heard(, ignored: \d+ replayed)?\n.*beacon of [xy] by site-[xy], [\d.]+ s ago: gateway 10\.0\.0\.[12]/,
    )
    expect(text.stdout).toMatch(
      /last note [\d.]+ s ago \(beacons, sent (once|\d+ times)\): asked for the gateway of site y/,
    )
  })

  it('and back, through the other controller', async () => {
    await (await moveVm(site.lab().prefix, 'web-07', 'x')).announced
    await until(async () => (await site.gateway()) === RX, 40_000, `the VM uses ${RX}: ${programs.agent.log()}`)
    await until(async () => programs.x.log().includes('switched after'), 10_000, programs.x.log())
  })

  it('ends with a summary', async () => {
    await programs.y.end('SIGINT')
    expect(programs.y.child.exitCode).toBe(0)
    expect(JSON.parse(programs.y.out())).toMatchObject({
      ...{
        schema: 'gwswitch.serve-site/1',
        site: 'y',
        segment: 'tenant-a',
        interface: 'seg-a',
        kid: 'site-y',
        exitCode: 0,
      },
      ...{gateway: {name: 'ry', ip: RY, ip6: null}, listen: '[::]:6743', ask: ['10.0.0.2:6743']},
      notes: {valid: expect.any(Number), silent: {}},
      switches: [{vm: 'web-07', from: 'rx', to: 'ry', strategy: 'agent', outcome: 'switched'}],
    })
    await programs.x.end()
    expect(programs.x.out()).toMatch(
      /^\d+ beacons, \d+ notes, \d+ of them not acted on, 1 switches\n {2}web-07 to rx: switched\n$/,
    )
  })
})
