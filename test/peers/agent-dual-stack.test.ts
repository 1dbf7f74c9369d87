// The strategy agent on a VM with IPv4 and IPv6: both default routes are switched, and both are proved.
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {privateKeyText, publicKeyText} from '../../src/wire/agent-message.ts'
import {FAR4, FAR6, NEW4, NEW6, OLD4, OLD6, type Site, VM_MAC, VM4, withSite} from '../services/agent/site.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'

const VM6 = 'fd00::10'
const R1 = '02:00:00:00:01:01'
const R2 = '02:00:00:00:02:01'

function inventory({directory, keys}: Site): string {
  const siteKey = join(directory, 'site-y.key')
  writeFileSync(siteKey, privateKeyText(keys.site), {mode: 0o600})
  const file = join(directory, 'gwswitch.yaml')
  writeFileSync(
    file,
    `
version: 1
sites: {x: {}, y: {agentKey: ${siteKey}}}
segments:
  tenant-a:
    prefix: 10.0.0.0/24
    gateways:
      - { name: r1, site: x, ip: ${OLD4}, mac: "${R1}", ip6: ["${OLD6}"] }
      - { name: r2, site: y, ip: ${NEW4}, mac: "${R2}", ip6: ["${NEW6}"] }
vms:
  web-07:
    { segment: tenant-a, ip: ${VM4}, mac: "${VM_MAC}", ip6: ["${VM6}"], agent: { key: ${publicKeyText(keys.agent)}, mode: replace, probes: [${FAR4}, "${FAR6}"] } }
`,
  )
  return file
}

const switched = (site: Site, ...args: readonly string[]) =>
  gwswitch(
    ['switch', 'web-07', '--to', 'y', '--strategy', 'agent', '-i', 'eth0', '-f', inventory(site), '--json', ...args],
    {namespace: site.ns('r2')},
  )

describe.skipIf(noNamespaces)('a switch of both families', () => {
  it('is verified by what leaves over IPv4 and over IPv6', () =>
    withSite({}, async (site) => {
      await site.start()
      const planned = await switched(site, '--dry-run')
      expect(planned.json.plan).toMatchObject({vm: {ip: VM4, ip6: VM6}, order: {to: {v4: NEW4, v6: NEW6}}})
      const {code, json} = await switched(site)
      expect(json.evidence).toEqual([
        `web-07 leaves through r2 (${R2})`,
        `web-07 leaves over IPv6 through r2 (${R2})`,
        expect.stringMatching(/^r2 .* takes packets on: | answers web-07 through it$/),
        expect.stringMatching(/^r2 takes IPv6 on: | answers web-07 through it$/),
        expect.stringMatching(/the agent of web-07, signed, says: confirmed, uses 10\.0\.0\.2 and fd00::2/),
      ])
      expect(code).toBe(0)
      expect([await site.gateway(FAR4), await site.gateway(FAR6)]).toEqual([NEW4, NEW6])
    }))

  it('is taken back whole where only the IPv4 half of it came about', () =>
    withSite({}, async (site) => {
      // A rule of the owner's own for a part of its IPv6 traffic: what is seen from outside stays on the old gateway.
      await site.run('vm', 'ip', '-6', 'route', 'add', 'default', 'via', OLD6, 'dev', 'eth0', 'table', '99')
      await site.run('vm', 'ip', '-6', 'rule', 'add', 'ipproto', 'ipv6-icmp', 'priority', '50', 'lookup', '99')
      const before = await site.routing()
      await site.start()
      const {code, json} = await switched(site)
      expect(json).toMatchObject({end: 'rolled-back', code: 'partial', rolledBack: true, rollback: {ok: true}})
      // Whether r2 takes IPv6 on may be known by then.
      expect(json.evidence.slice(0, 3)).toEqual([
        `web-07 leaves through r2 (${R2})`,
        expect.stringMatching(
          /web-07 answers neighbour discovery, but where it sends over IPv6 cannot be seen at eth0/,
        ),
        expect.stringMatching(/^r2 .* takes packets on: /),
      ])
      expect(code).toBe(3)
      expect(await site.routing()).toBe(before)
    }))
})
