// What runs the service of a site, and looks at it: events of a platform, metrics, systemd.
import {chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {request} from 'node:http'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {afterAll, afterEach, describe, expect, it} from 'vitest'
import {CAP_NET_ADMIN, CAP_NET_RAW} from '../../src/net/process/confine.ts'
import {laidOut, MOVING, READY, vmi} from '../domain/movement/recorded.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {readMetrics} from '../support/prometheus.ts'
import {useSegmentLab, VM_MAC, X_MAC, Y_MAC} from '../support/segment-lab.ts'
import {type SiteService, startSiteService} from '../support/site-service.ts'
import {noSystemd, withSystemd} from '../support/systemd-machine.ts'
import {eventually, until} from '../support/until.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-operations-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

/** What kubectl prints of a VM with the lab's MAC that comes to that node, once somebody says that it may. */
function kubectl(target: string): {readonly path: string; moves(): void} {
  const folder = mkdtempSync(join(scratch, 'bin-'))
  const documents = (state: object): string => {
    const vm = {...vmi({...state, targetNode: target}), status: {...vmi(state).status, interfaces: [{mac: VM_MAC}]}}
    vm.status.migrationState = {...state, targetNode: target}
    return `${laidOut({type: 'MODIFIED', object: vm}).join('\n')}\n`
  }
  writeFileSync(join(folder, 'before'), documents(MOVING))
  const script = `#!/bin/sh
cd ${folder}; cat before; while [ ! -e go ]; do sleep 0.1; done; cat after; exec sleep 600
`
  writeFileSync(join(folder, 'kubectl'), script)
  chmodSync(join(folder, 'kubectl'), 0o755)
  return {
    path: folder,
    moves() {
      const now = new Date().toISOString().replace(/\.\d+/, '')
      writeFileSync(join(folder, 'after'), documents({...READY, targetNodeDomainReadyTimestamp: now}))
      writeFileSync(join(folder, 'go'), '')
    },
  }
}

async function metricsOf(socketPath: string): Promise<Map<string, number>> {
  const {promise, resolve, reject} = Promise.withResolvers<string>()
  request({socketPath, path: '/metrics', agent: false}, (answer) => void text(answer).then(resolve, reject))
    .on('error', reject)
    .end()
  return readMetrics(await promise)
}

describe.skipIf(noNamespaces)('the service of a site', () => {
  const lab = useSegmentLab({vmKeys: 'strategies: [arp]'})
  const services: SiteService[] = []
  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.end()))
    await lab().restore()
  })

  const start = async (path: string, ...args: string[]): Promise<SiteService> => {
    const service = await startSiteService({
      ...{namespace: lab().ns('sw'), inventory: lab().inventoryFile, socket: join(scratch, 'site.sock'), args},
      under: ['env', `PATH=${path}:${process.env.PATH}`],
    })
    services.push(service)
    return service
  }

  it('switches a VM that its platform says has come to a host of it, and counts that', {timeout: 120_000}, async () => {
    const cluster = kubectl('node-y')
    const metrics = join(scratch, 'metrics.sock')
    const service = await start(
      ...([
        cluster.path,
        '--events',
        'kubevirt',
        '--events-host',
        'node-y',
        '--metrics-listen',
        `unix:${metrics}`,
      ] as const),
    )
    await service.ready()
    expect(await lab().gateway()).toBe(X_MAC)
    const counted = 'gwswitch_site_switches_total{outcome="switched"}'
    expect((await metricsOf(metrics)).get(counted)).toBeUndefined()
    cluster.moves()
    await until(async () => (await lab().gateway()) === Y_MAC, 30_000, `it is switched: ${service.log()}`)
    await eventually(async () => expect((await metricsOf(metrics)).get(counted)).toBe(1))
    const news = [...(await metricsOf(metrics)).keys()].filter((name) =>
      name.startsWith('gwswitch_site_movements_total'),
    )
    expect(news).toEqual([expect.stringMatching(/source="kubevirt",kind="arrived",said="begun"/)])
  })

  it('leaves a VM alone that came to a host that is not of it', {timeout: 120_000}, async () => {
    const cluster = kubectl('node-z')
    const metrics = join(scratch, 'metrics-z.sock')
    const service = await start(
      ...([
        cluster.path,
        '--events',
        'kubevirt',
        '--events-host',
        'node-x',
        '--metrics-listen',
        `unix:${metrics}`,
      ] as const),
    )
    await service.ready()
    cluster.moves()
    // It left node-x, which is one of ours here.
    const left = /^gwswitch_site_movements_total\{source="kubevirt",kind="left"/
    await until(
      async () => [...(await metricsOf(metrics)).keys()].some((name) => left.test(name)),
      30_000,
      service.log(),
    )
    expect([...(await metricsOf(metrics)).keys()].filter((name) => name.includes('kind="arrived"'))).toEqual([])
    expect(await lab().gateway()).toBe(X_MAC)
  })

  it.skipIf(noSystemd)(
    'is started by its own unit, is ready when it says so, and is started anew where it stands still',
    {timeout: 180_000},
    async () => {
      await withSystemd(lab().ns('sw'), async (machine) => {
        const unit = 'gwswitch-site'
        await machine.run('mkdir', '-p', '/etc/gwswitch', '/etc/systemd/system/gwswitch-site.service.d')
        copyFileSync(lab().inventoryFile, machine.path('/etc/gwswitch/gwswitch.yaml'))
        expect(await machine.gwswitch('serve', 'site', 'y', '--control', '--install')).toMatch(
          /^WRITTEN {3}\/etc\/systemd\/system\/gwswitch-site\.service\n.*systemctl enable --now gwswitch-site\.service/s,
        )
        writeFileSync(
          machine.path('/etc/systemd/system/gwswitch-site.service.d/soon.conf'),
          '[Service]\nWatchdogSec=2s\n',
        )
        await machine.run('systemctl', 'daemon-reload')
        // With Type=notify this returns when it said that it is ready.
        await machine.run('systemctl', 'start', unit)
        expect(await machine.property(unit, 'StatusText')).toBe('site y')
        expect(await machine.run('systemctl', 'is-active', unit)).toBe('active\n')
        const pid = await machine.property(unit, 'MainPID')
        const status = readFileSync(machine.path(`/proc/${pid}/status`), 'utf8')
        const only = [CAP_NET_ADMIN, CAP_NET_RAW].map((bit) => 1n << BigInt(bit)).reduce((a, b) => a | b)
        for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
          expect(BigInt(`0x${new RegExp(`^${set}:\\s*(\\w+)$`, 'm').exec(status)![1]}`) & ~only).toBe(0n)
        await machine.run('kill', '-STOP', pid)
        await until(
          async () => !['', '0', pid].includes(await machine.property(unit, 'MainPID')),
          30_000,
          'it is started anew',
        )
        await until(async () => (await machine.property(unit, 'ActiveState')) === 'active', 30_000, 'it is ready again')
        expect(await machine.property(unit, 'NRestarts')).toBe('1')
        await machine.run('systemctl', 'stop', unit)
        expect(await machine.property(unit, 'Result')).toBe('success')
      })
    },
  )
})
