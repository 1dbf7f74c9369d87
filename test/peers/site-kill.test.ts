// The service of a site, killed at every step of a switch by arrival, and started again each time: the VM ends at its new
// gateway, proved once, and whatever was half done is said.
import {once} from 'node:events'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {afterAll, describe, expect, it} from 'vitest'
import type {JournalEntry} from '../../src/orders/journal/entry.ts'
import {readJournal} from '../../src/orders/journal/journal-file.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {BEYOND, useSegmentLab, Y_MAC} from '../support/segment-lab.ts'
import {type SiteService, startSiteService} from '../support/site-service.ts'

/** As far as a switch has come when the service is killed. `told`: the VM sends to its new gateway. */
const STEPS = ['planned', 'executing', 'told', 'verified', 'ended'] as const
type Step = (typeof STEPS)[number]

describe.skipIf(noNamespaces)('the service of a site that is killed', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-site-kill-'))
  const lab = useSegmentLab({vmKeys: 'strategies: [arp], site: x'})
  afterAll(() => rmSync(scratch, {recursive: true, force: true}))

  const start = (journal: string): Promise<SiteService> =>
    startSiteService({
      ...{namespace: lab().ns('sw'), inventory: lab().inventoryFile, socket: join(scratch, 'site.sock')},
      args: ['--watch', 'vnet*', '--journal', journal],
    })
  const entries = (journal: string): Promise<readonly JournalEntry[]> =>
    readJournal(journal, (read) => read.entries({}, 100)).catch(() => [])

  /** Resolves when the newest switch, which is none of the first `before`, has come so far. */
  async function reached(step: Step, journal: string, before: number): Promise<void> {
    for (const end = performance.now() + 60_000; performance.now() < end; await delay(1)) {
      const all = await entries(journal)
      const state = all.length > before ? all.at(-1)!.state : undefined
      if (state === undefined) continue
      const at = state === 'rolling-back' ? 'told' : state === 'guarding' ? 'verified' : state
      if (STEPS.indexOf(at) >= STEPS.indexOf(step)) return
      if (step === 'told' && (await lab().gateway()) === Y_MAC) return
    }
    throw new Error(`never ${step}: ${JSON.stringify((await entries(journal)).map(({state}) => state))}`)
  }

  /** With its guard, as a power cut does; or alone. */
  async function kill({child}: SiteService, guardToo: boolean): Promise<void> {
    child.kill('SIGSTOP')
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ').map(Number)
    if (guardToo) for (const pid of children) if (pid > 0) process.kill(pid, 'SIGKILL')
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  const isProved = ({state, document}: JournalEntry): boolean =>
    document?.verified === true || state === 'verified' || state === 'guarding'

  it.each([
    ['alone, while its guard lives', false],
    ['with its guard', true],
  ])(
    '%s, at every step of a switch, has finished it or says so when it is there again, and does nothing twice',
    {timeout: 300_000},
    async (_name, guardToo) => {
      await lab().restore()
      const journal = join(scratch, `journal-${guardToo}.db`)
      // Its bridge has to have learned it.
      await lab().run('vm', `ping -q -c1 -W2 ${BEYOND}`)
      let said = ''
      for (const step of STEPS) {
        const before = await entries(journal)
        const service = await start(journal)
        if (!before.some(isProved)) await reached(step, journal, before.length)
        await kill(service, guardToo)
        said += service.log()
      }
      const killed = await entries(journal)
      const service = await start(journal)
      // By then it has heard whom the bridge has learned, and believes it.
      await service.ready()
      await service.end()
      said += service.log()
      const all = await entries(journal)
      const how = `${said}${JSON.stringify(all.map(({state, endedBy, document}) => [state, endedBy, document?.end]))}`
      expect(await lab().leavesBy(), how).toBe(Y_MAC)
      // Once it was proved nobody began again.
      expect(all.filter(isProved), how).toHaveLength(1)
      expect(killed.map(isProved).at(-1), how).toBe(true)
      expect(all.length, how).toBe(killed.length)
      const begun = all.filter(({wasBegun, document}) => wasBegun && !document?.verified)
      expect(begun.length, how).toBeGreaterThan(0)
      for (const {run, endedBy, document} of begun) {
        if (!guardToo) expect([endedBy, document?.end], how).toEqual(['guard', 'rolled-back'])
        else {
          expect([endedBy, document?.end], how).toEqual(['later', 'unknown'])
          expect(document?.error?.message).toMatch(/^it was cut short; run \w{8} found db-03 served by by since$/)
          expect(said).toContain(`run ${run}: the switch of db-03 to by was cut short`)
        }
      }
      const cli = (...words: string[]) =>
        gwswitch(['history', ...words, '--journal', journal], {namespace: lab().ns('sw')})
      expect(await cli()).toMatchObject({code: 0, stderr: ''})
      expect((await cli('verify')).code).toBe(0)
    },
  )
})
