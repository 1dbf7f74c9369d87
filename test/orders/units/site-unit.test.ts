import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {CAP_KILL, CAP_NET_RAW} from '../../../src/net/process/confine.ts'
import {siteUnitFor} from '../../../src/orders/units/site-unit.ts'

const COMMAND = ['/opt/node', '/opt/my gw/run.js']
const started = (argv: readonly string[], found = '/etc/gwswitch/gwswitch.yaml'): string =>
  /^ExecStart=(.*)$/m.exec(siteUnitFor(COMMAND, argv, undefined, found).text)![1]!

describe('the unit of the service of a site', () => {
  it('starts what was asked for, with the inventory that was found', () => {
    expect(
      started(['y', '--control', '/run/gwswitch/site.sock', '--events', 'libvirt', '--install', '--dry-run']),
    ).toBe(
      '/opt/node "/opt/my gw/run.js" serve site y --control /run/gwswitch/site.sock --events libvirt --inventory /etc/gwswitch/gwswitch.yaml',
    )
  })
  it('names files by their whole paths, as it is started elsewhere', () => {
    const here = process.cwd()
    expect(started(['y', '--audit', 'a.jsonl', '--metrics=m.prom', '-f', 'inv.yaml'])).toBe(
      `/opt/node "/opt/my gw/run.js" serve site y --audit ${here}/a.jsonl --metrics=${here}/m.prom -f ${here}/inv.yaml`,
    )
    expect(started(['y', '--inventory=/i.yaml'])).toMatch(/ serve site y --inventory=\/i\.yaml$/)
    expect(started(['y'], 'inv.yaml')).toMatch(new RegExp(` --inventory ${here}/inv\\.yaml$`))
  })
  it('has the rights to send frames and to change the network, and those that the inventory asks for', () => {
    const {name, text} = siteUnitFor(COMMAND, ['y'], undefined, '/i.yaml')
    expect(name).toBe('gwswitch-site.service')
    expect(text).toMatch(/^CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN$/m)
    expect(text).not.toMatch(/ReadWritePaths/)
    const more = {capabilities: [CAP_NET_RAW, CAP_KILL], folders: ['/etc/dnsmasq.d', '/srv/my dhcp']}
    const asked = siteUnitFor(COMMAND, ['y'], more, '/i.yaml').text
    expect(asked).toMatch(/^CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN CAP_KILL$/m)
    expect(asked).toMatch(
      /^ReadWritePaths=-\/etc\/dnsmasq\.d\nReadWritePaths=-"\/srv\/my dhcp"\nProtectHome=read-only$/m,
    )
  })
  it('differs from the packaged one, which tells and asks alone, in whose it is and what it may and in nothing else', () => {
    const file = join(import.meta.dirname, '../../../packaging/gwswitch-site.service')
    // Whose it is, what it starts, where it writes, what it may.
    const apart =
      /^(?:#|$|Description|After|ExecStart|DynamicUser|\w+Directory=|LoadCredential|Environment|AmbientCap|CapabilityB|RestrictNamespaces|ProtectHome)/
    const same = (unit: string) => unit.split('\n').filter((line) => !apart.test(line))
    expect(same(readFileSync(file, 'utf8'))).toEqual(same(siteUnitFor(COMMAND, ['y'], undefined, '/i.yaml').text))
  })
})
