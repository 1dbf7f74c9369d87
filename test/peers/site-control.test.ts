// Orders by the control socket of `serve site`, on real packets: the VM is switched once, proved, or put back.
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, describe, expect, it} from 'vitest'
import {noNamespaces} from '../support/namespaces.ts'
import {useSegmentLab, Y_MAC} from '../support/segment-lab.ts'
import {type SiteService, startSiteService} from '../support/site-service.ts'
import {until} from '../support/until.ts'

interface Recorded {
  readonly vm: string
  readonly end: string
  readonly code: string
  readonly before: string | null
  readonly uses: string | null
  readonly atOnce: boolean
}

describe.skipIf(noNamespaces)('the control socket of serve site', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-control-'))
  const lab = useSegmentLab({vmKeys: 'strategies: [arp]'})
  const services: SiteService[] = []
  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.end()))
    await lab().restore()
  })
  afterAll(() => rmSync(scratch, {recursive: true, force: true}))

  const start = async (...args: string[]): Promise<SiteService> => {
    const socket = join(scratch, 'site.sock')
    const service = await startSiteService({
      ...{namespace: lab().ns('sw'), inventory: lab().inventoryFile, socket, args},
    })
    services.push(service)
    return service
  }
  const history = async (service: SiteService): Promise<Recorded[]> =>
    (await service.ask('history'))[0]!.switches as Recorded[]
  const switched = (service: SiteService, times = 1): Promise<void> =>
    until(async () => (await history(service)).length >= times, 20_000, `it is switched: ${service.log()}`)

  it('leads from "arrived" to one switch, proved, of a VM that was told in the breath in which it was asked', async () => {
    const service = await start()
    await service.ready()
    const answers = await service.ask('expect db-03', 'arrived db-03', 'arrived db-03')
    expect(answers).toMatchObject([
      {schema: 'gwswitch.site-answer/1', ok: true, said: 'expected', vm: 'db-03'},
      {ok: true, said: 'begun', vm: 'db-03', exitCode: 0, error: null},
      {ok: true, said: 'under-way'},
    ])
    await switched(service)
    expect(await history(service)).toMatchObject([
      {vm: 'db-03', end: 'switched', code: 'served', before: 'bx', uses: 'by', atOnce: true},
    ])
    expect(await lab().gateway()).toBe(Y_MAC)
    expect(await service.ask('arrived 02:00:00:00:01:10')).toMatchObject([{ok: true, said: 'here-already'}])
    expect(await history(service)).toHaveLength(1)
  })
})
