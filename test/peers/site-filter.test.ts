// The service of a site beside the filter of its site: what becomes of real tables of nft, it says.
import {mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, describe, expect, it} from 'vitest'
import {CAP_NET_ADMIN, CAP_NET_RAW} from '../../src/net/process/confine.ts'
import type {FilterSight} from '../../src/services/site/filter-sight.ts'
import {gwswitch} from '../support/cli.ts'
import {heldRights} from '../support/held-rights.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {readMetrics} from '../support/prometheus.ts'
import {useSegmentLab} from '../support/segment-lab.ts'
import {type SiteService, startSiteService} from '../support/site-service.ts'
import {eventually, until} from '../support/until.ts'

const TABLE = 'bridge gwswitch/tenant-b/p-gx'
const METRIC = 'gwswitch_site_filter_as_meant{segment="tenant-b",ports="p-gx"}'

describe.skipIf(noNamespaces)('the service of a site, of the filter of its site', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-site-sight-'))
  const lab = useSegmentLab({vmKeys: 'strategies: [arp]', segmentKeys: '    ports: [p-gx]'})
  const services: SiteService[] = []
  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.end()))
    writeFileSync(lab().inventoryFile, lab().inventory)
    await lab().restore()
  })
  afterAll(() => rmSync(scratch, {recursive: true, force: true}))

  async function start(under: readonly string[] = []): Promise<SiteService> {
    const service = await startSiteService({
      ...{namespace: lab().ns('sw'), inventory: lab().inventoryFile, socket: join(scratch, 'site.sock'), under},
      args: ['--metrics', join(scratch, 'metrics')],
    })
    services.push(service)
    return service
  }
  const filterIn = async (service: SiteService): Promise<FilterSight> =>
    (await service.ask('status'))[0]!.filter as FilterSight
  const is = (service: SiteService, state: FilterSight['state']): Promise<void> =>
    until(async () => (await filterIn(service)).state === state, 30_000, `the filter is ${state}: ${service.log()}`)
  /** What it said of the filter. */
  const said = (service: SiteService): string[] =>
    service
      .log()
      .split('\n')
      .flatMap((line) => (/filter/.test(line) ? line.replace(/^\S+ gwswitch serve site: /, '') : []))
  const filter = (...words: string[]) =>
    gwswitch(['filter', ...words, '-f', lab().inventoryFile], {namespace: lab().ns('sw')})

  it('says once that it is missing, changed and right again, by looking as filter check does', async () => {
    const service = await start()
    await is(service, 'missing')
    expect((await filter('apply', '--inbound-moves')).code).toBe(0)
    // By itself, with the few rights that the service has kept.
    await is(service, 'as-meant')
    expect(heldRights(service.child.pid!).capabilities).toEqual([CAP_NET_ADMIN, CAP_NET_RAW])
    await lab().run('sw', `nft flush chain ${TABLE} to_dci`)
    service.child.kill('SIGHUP')
    await is(service, 'different')
    const check = await filter('check', '--json')
    expect(check.code).toBe(10)
    const {evidence, filters} = await filterIn(service)
    expect(evidence.join()).toContain((check.json.differences as string[])[0])
    expect(filters).toEqual([{segment: 'tenant-b', ports: ['p-gx'], state: 'different'}])
    // Nothing is said of what has not changed.
    service.child.kill('SIGHUP')
    await until(async () => service.log().split('configuration read again').length === 3, 10_000, service.log())
    await eventually(async () => expect((await filterIn(service)).agoS).toBeLessThan(1))
    expect((await filter('apply', '--recorded')).code).toBe(0)
    service.child.kill('SIGHUP')
    await is(service, 'as-meant')
    expect((await filter('remove')).code).toBe(0)
    writeFileSync(lab().inventoryFile, lab().inventory.replace('    ports: [p-gx]', ''))
    service.child.kill('SIGHUP')
    await is(service, 'none')
    expect(said(service)).toEqual([
      'filter: tenant-b: missing',
      'filter: as meant',
      expect.stringMatching(/^filter: tenant-b: different, chain to_dci: /),
      'filter: as meant',
      'filter: none is meant here any more',
    ])
  })

  it('counts it', async () => {
    const service = await start()
    await is(service, 'missing')
    await service.end()
    services.pop()
    const metrics = readMetrics(readFileSync(join(scratch, 'metrics'), 'utf8'))
    expect([metrics.get(METRIC), metrics.get('gwswitch_site_filter_orphans')]).toEqual([0, 0])
  })

  it.each<[string, (folder: string) => readonly string[], RegExp]>([
    [
      'without the right to look',
      () => ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
      /needs CAP_NET_ADMIN/,
    ],
    ['without nft', (folder) => ['env', `PATH=${folder}`], /nft/],
  ])('claims nothing of it, and says so once, %s', async (_name, under, why) => {
    expect((await filter('apply', '--inbound-moves')).code).toBe(0)
    const folder = mkdtempSync(join(scratch, 'bin-'))
    for (const name of ['ip', 'bridge', 'unshare', 'sh'])
      symlinkSync((await lab().run('sw', `command -v ${name}`)).trim(), join(folder, name))
    const service = await start(under(folder))
    const looked = async (): Promise<boolean> => (await filterIn(service)).agoS !== null
    await until(looked, 20_000, service.log())
    service.child.kill('SIGHUP')
    await until(async () => service.log().includes('configuration read again'), 10_000, service.log())
    await until(looked, 20_000, service.log())
    expect(await filterIn(service)).toMatchObject({
      state: 'unknown',
      filters: [],
      evidence: [expect.stringMatching(why)],
    })
    expect(said(service)).toEqual([expect.stringMatching(/^the filter cannot be looked at: /)])
  })
})
