// What keeps a switched VM where it is, or does not, while the rest of the network is not quiet: the DCI goes down and
// comes back, the VM forgets its neighbours, users of both sites go on talking to it. The routers' own neighbour checks are
// sped up to every second or two, so that this is an hour of theirs.
import {setTimeout as sleep} from 'node:timers/promises'
import {describe, expect, it} from 'vitest'
import {startSession} from '../../src/lab/session.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces, type TestLab, withLab} from '../support/namespaces.ts'
import {arriveAndSwitch, BX, BY, gatewayOfVm, type Setting, setUp, switchVm, until} from './arp-lab.ts'

const DELAYS = {dciDelayMs: 3, wanDelayMs: 3}
const FLAPS = 3

interface Case extends Setting {
  readonly name: string
  /** The filter at the old site answers for the VM, which has left it. */
  readonly keepInbound?: boolean
  /** A router reaches what is at its own site, and nothing else: the session begins when the VM is there. */
  readonly unreached?: boolean
}

const STAYS: readonly Case[] = [
  {name: 'own addresses, filter, inbound by the new site', filter: 'full', inbound: 'y'},
  {name: 'own addresses, filter, inbound by the old site', filter: 'full', inbound: 'x'},
  {
    ...{name: 'single gateway IP, filter, inbound by the new site', singleIp: true, filter: 'full', inbound: 'y'},
    unreached: true,
  },
  {
    ...{name: 'single gateway IP, filter that keeps inbound, by the old site', singleIp: true, filter: 'full'},
    ...{inbound: 'x', keepInbound: true},
  },
]

describe.skipIf(noNamespaces).concurrent('a switched VM, while the DCI comes and goes', () => {
  it.each(STAYS)('stays, with its sessions: $name', {timeout: 120_000}, async (setting) => {
    await withLab(DELAYS, async (lab) => {
      await setUp(lab, setting)
      const begin = () => startSession(lab.prefix, 'db-03', 'user-y')
      const before = setting.unreached ? undefined : await begin()
      await (await moveVm(lab.prefix, 'db-03', 'y')).announced
      if (setting.keepInbound) {
        const keep = ['filter', 'apply', '-i', 'dci-b', '--segment', 'tenant-b', '--keep-inbound', 'db-03']
        const {code, stderr} = await gwswitch([...keep, '-f', lab.inventoryFile], {namespace: lab.ns('sw-x')})
        expect(code, stderr).toBe(0)
      }
      const {verdict} = await switchVm(lab)
      await using session = before ?? (await begin())
      expect(verdict.ok, verdict.evidence.join('\n')).toBe(true)
      const seen = await watched(lab, () => unrest(lab))
      expect(seen).not.toContain(BX)
      expect(seen).toContain(BY)
      await session.mark('quiet again')
      const caught = () =>
        lab.run('user-x', 'ping', '-q', '-c', '1', '-W', '1', '10.1.0.10').then(() => 'answers', String)
      if (!setting.unreached) expect(await until(caught, (said) => said === 'answers')).toBe('answers')
      await sleep(1500)
      const {tcp, udp} = await session.stop()
      expect(tcp).toMatchObject({contiguous: true, reconnects: 0})
      const after = udp.phases.at(-1)!
      expect(after.sent).toBeGreaterThan(20)
      expect(after.sent - after.echoed).toBeLessThan(10)
    })
  })

  it('does not without a filter: single gateway IP, inbound by the old site', {timeout: 120_000}, async () => {
    await withLab(DELAYS, async (lab) => {
      await setUp(lab, {singleIp: true, filter: 'none', inbound: 'x'})
      await arriveAndSwitch(lab)
      expect(await watched(lab, () => unrest(lab))).toContain(BX)
    })
  })
})

/** Every flap is long enough for a router that checks its neighbours to give one up. */
async function unrest(lab: TestLab): Promise<void> {
  const set = (state: 'up' | 'down') => lab.run('sw-x', 'ip', 'link', 'set', 'dci-b', state)
  const talk = () => lab.run('user-x', 'sh', '-c', 'ping -q -c 4 -i 0.3 -W 1 10.1.0.10 || :')
  for (let flap = 0; flap < FLAPS; flap++) {
    await talk()
    await set('down')
    await Promise.all([talk(), sleep(2500)])
    await set('up')
    await talk()
    // It asks anew for its gateway, and is asked by whoever is heard.
    if (flap === 1) await lab.run('db-03', 'ip', 'neigh', 'flush', 'dev', 'eth0')
  }
}

/** The MACs that the VM held for its gateway meanwhile. */
async function watched(lab: TestLab, fn: () => Promise<void>): Promise<string[]> {
  const seen = new Set<string>()
  const over = new AbortController()
  const watching = (async () => {
    while (!over.signal.aborted) {
      const mac = await gatewayOfVm(lab)
      if (mac) seen.add(mac)
      await sleep(50)
    }
  })()
  try {
    await fn()
  } finally {
    over.abort()
    await watching
  }
  return [...seen]
}
