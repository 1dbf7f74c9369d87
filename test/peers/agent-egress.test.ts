// Confirmed means that the VM's kernel sends there: routes and rules of the VM's own that keep all of its traffic, or a part of
// it, where it was.
import {writeFileSync} from 'node:fs'
import {expect, it} from 'vitest'
import type {AgentCommand} from '../../src/wire/agent-message.ts'
import {FAR4, FAR6, LINK_LOCAL, NEW4, OLD4, OLD6, type Site, withSite} from '../services/agent/site.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {until} from '../support/until.ts'

const noDnsmasq = !(await hasProgram('dnsmasq'))

interface Row {
  /** Lines for ip(8) that make the VM what it is, and those that undo them. */
  readonly with: readonly string[]
  readonly without: readonly string[]
  readonly ask?: Partial<AgentCommand>
  readonly says: object
}
const TABLE = `route add default via ${OLD4} table 100`
const NO_TABLE = 'route flush table 100'
const refused = (detail: RegExp, reason = 'mode') => ({
  ...{state: 'refused', reason, detail: expect.stringMatching(detail)},
  gw4: OLD4,
})
const partial = (detail: RegExp) => ({
  ...{state: 'confirmed', reason: 'partial', gw4: NEW4},
  detail: expect.stringMatching(detail),
})
/** A rule for a part, whose table leads by the old gateway. */
const byRule = (...selector: string[]): Pick<Row, 'with' | 'without'> => ({
  with: [TABLE, `rule add ${selector.join(' ')} lookup 100 pref 100`],
  without: ['rule del pref 100', NO_TABLE],
})

const ROWS: Readonly<Record<string, Row>> = {
  'halves of the Internet by the old gateway': {
    with: [`route add 0.0.0.0/1 via ${OLD4}`, `route add 128.0.0.0/1 via ${OLD4}`],
    without: ['route del 0.0.0.0/1', 'route del 128.0.0.0/1'],
    says: refused(/what is sent goes by 10\.0\.0\.1 whatever the default route is.*length 1/),
  },
  'halves by a tunnel that leaves by the old gateway': {
    with: [
      ...['link add tun0 type veth peer name tun1', 'link set tun1 up', 'link set tun0 up'],
      ...['route add 0.0.0.0/1 dev tun0', 'route add 128.0.0.0/1 dev tun0'],
      `route add ${FAR4}/32 via ${OLD4}`,
    ],
    without: ['link del tun0', 'route del 203.0.113.10/32'],
    says: refused(/nothing takes the default route by 10\.0\.0\.1: what is sent goes out of tun0/),
  },
  'a rule for all that the VM itself sends': {...byRule('iif lo'), says: refused(/table 100/)},
  'a rule for its own address': {...byRule('from 10.0.0.10'), says: refused(/from 10\.0\.0\.10 .*table 100/)},
  'the only probe has a route of its own (DHCP option 121)': {
    ...{with: [`route add 203.0.113.0/24 via ${OLD4}`], without: ['route del 203.0.113.0/24']},
    says: refused(/203\.0\.113\.10 goes by 10\.0\.0\.1 whatever/, 'no_probe'),
  },
  'the same, and whoever asks confirms': {
    ...{with: [`route add 203.0.113.0/24 via ${OLD4}`], without: ['route del 203.0.113.0/24']},
    ...{ask: {confirm_s: 20}, says: partial(/^203\.0\.113\.0\/24 still by 10\.0\.0\.1$/)},
  },
  'a prefix of its own': {
    ...{with: [`route add 198.51.100.0/24 via ${OLD4}`], without: ['route del 198.51.100.0/24']},
    says: partial(/^198\.51\.100\.0\/24 still by 10\.0\.0\.1$/),
  },
  'addresses that are asked for have routes of their own': {
    with: ['route add 192.0.0.0/24 dev lo', 'route add 100.64.0.0/10 dev lo'],
    without: ['route del 192.0.0.0/24', 'route del 100.64.0.0/10'],
    says: {state: 'confirmed', gw4: NEW4},
  },
  'certain users': {...byRule('uidrange 1000-1999'), says: partial(/^what users 1000-1999 send still by/)},
  'a second address': {
    with: ['address add 10.0.0.11/32 dev eth0', ...byRule('from 10.0.0.11').with],
    without: [...byRule('').without, 'address del 10.0.0.11/32 dev eth0'],
    says: partial(/^what is sent from 10\.0\.0\.11\/32 still by/),
  },
  'a port': {...byRule('ipproto tcp dport 443'), says: partial(/IP protocol 6 and is sent to port 443 still by/)},
  'what has a mark and looks up the main table, under an overlay (tailscale)': {
    with: ['rule add fwmark 0x80000/0xff0000 lookup main pref 5210', 'rule add lookup 52 pref 5270'],
    without: ['rule del pref 5210', 'rule del pref 5270'],
    ...{ask: {mode: 'rule'}, says: partial(/^what has mark 0x80000\/0xff0000 still by 10\.0\.0\.1$/)},
  },
  'the same, and the route itself is rewritten': {
    with: ['rule add fwmark 0x80000/0xff0000 lookup main pref 5210', 'rule add lookup 52 pref 5270'],
    without: ['rule del pref 5210', 'rule del pref 5270'],
    ...{ask: {mode: 'replace'}, says: {state: 'confirmed', gw4: NEW4}},
  },
}

it.skipIf(noNamespaces)('says what moves, and refuses what would move nothing', async () => {
  await withSite({config: {windows: {guardS: 0}}}, async (site) => {
    const agent = await site.start()
    const before = await site.routing()
    for (const [name, row] of Object.entries(ROWS)) {
      for (const line of row.with) await ip(site, line)
      const run = `r${Object.keys(ROWS).indexOf(name)}`
      const isEnd = ({state}: {state: string}): boolean => !['received', 'applied'].includes(state)
      const said = await site.ask(
        {run, gw4: NEW4, ...row.ask},
        row.ask?.confirm_s ? ({state}) => state !== 'received' : isEnd,
      )
      const end = said.state === 'applied' ? await site.ask({op: 'confirm', run}) : said
      expect(end, `${name}\n${agent.log()}`).toMatchObject(row.says)
      if (!('reason' in row.says)) expect(end, name).not.toHaveProperty('reason')
      if (end.state === 'confirmed') await site.ask({op: 'rollback', run})
      for (const line of row.without) await ip(site, line)
      expect(await site.routing(), name).toBe(before)
    }
  })
})

it.skipIf(noNamespaces || noDnsmasq)(
  'of two routers that advertise themselves, the one that the kernel prefers',
  async () => {
    await withSite({plain: false, config: {windows: {guardS: 0}, probes: [FAR6]}}, async (site) => {
      // The controller asks by IPv4.
      await ip(site, 'address add 10.0.0.10/24 dev eth0')
      await ip(site, `route add default via ${OLD4}`)
      site.inside('vm', () => writeFileSync('/proc/sys/net/ipv6/conf/eth0/accept_ra', '1'))
      await advertise(site, 'r2', LINK_LOCAL.fresh, 'low')
      await until(async () => (await site.gateway(FAR6)) === LINK_LOCAL.fresh, 20_000, 'the route of the one')
      await advertise(site, 'r1', LINK_LOCAL.old, 'high')
      await until(async () => (await site.gateway(FAR6)) === LINK_LOCAL.old, 20_000, 'the route of the other')
      await site.start()
      expect(await site.ask({gw6: LINK_LOCAL.old})).toMatchObject({state: 'confirmed', reason: 'already'})
      // The default route by the new gateway is there, and is not what is used: that is no reason to do nothing.
      const switched = await site.ask({run: 'a', gw6: LINK_LOCAL.fresh, from_gw6: LINK_LOCAL.old})
      expect(switched).toMatchObject({state: 'confirmed', mode: 'rule', gw6: LINK_LOCAL.fresh})
      expect(await site.gateway(FAR6)).toBe(LINK_LOCAL.fresh)
      const back = await site.ask({op: 'rollback', run: 'a'})
      expect(back).toMatchObject({state: 'rolled_back', gw6: LINK_LOCAL.old})
    })
  },
)

/** Router advertisements with a preference (RFC 4191), from a link-local address that one can tell. */
async function advertise(site: Site, node: string, address: string, preference: 'low' | 'high'): Promise<void> {
  await site.run(node, 'ip', 'link', 'set', 'eth0', 'addrgenmode', 'none')
  await site.run(node, 'ip', 'address', 'flush', 'dev', 'eth0', 'scope', 'link')
  await site.run(node, 'ip', 'address', 'add', `${address}/64`, 'dev', 'eth0', 'nodad')
  const flags = [
    '--port=0',
    '--enable-ra',
    '--dhcp-range=::,constructor:eth0,ra-stateless',
    '--user=root',
    '--pid-file',
  ]
  site.spawn(node, 'dnsmasq', '-k', '-C', '/dev/null', '--interface=eth0', ...flags, `--ra-param=eth0,${preference},4`)
}

it.skipIf(noNamespaces)('a gateway in use is left alone: no route is touched, and the way back stays', async () => {
  await withSite({config: {windows: {guardS: 0}}}, async (site) => {
    await site.start()
    const before = await site.routing()
    const monitor = site.spawn('vm', 'ip', 'monitor', 'route')
    expect(await site.ask({gw4: OLD4, gw6: OLD6})).toMatchObject({state: 'confirmed', reason: 'already'})
    expect(await site.ask({run: 'a', gw4: NEW4, gw6: OLD6})).toMatchObject({state: 'confirmed', gw4: NEW4, gw6: OLD6})
    expect(await site.ask({run: 'b', gw4: NEW4})).toMatchObject({state: 'confirmed', reason: 'already'})
    await until(async () => monitor.log().includes(`default via ${NEW4}`), 5000, 'the change')
    expect(monitor.log()).not.toMatch(/default via fd00/)
    // One comes, one goes; the trial has a table of its own.
    expect(monitor.log().match(/^.*default(?!.*table).*$/gm)).toHaveLength(2)
    // Its confirmation says the same; and what was confirmed before it is what is taken back.
    expect(await site.ask({op: 'confirm', run: 'b'})).toMatchObject({state: 'confirmed', reason: 'already'})
    await site.ask({op: 'rollback', run: 'a'})
    expect(await site.routing()).toBe(before)
    expect(await site.gateway(FAR4)).toBe(OLD4)
  })
})

const ip = (site: Site, line: string): Promise<string> => site.run('vm', 'ip', ...line.split(' '))
