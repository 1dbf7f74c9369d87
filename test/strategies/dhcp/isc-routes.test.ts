import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {iscBackend} from '../../../src/strategies/dhcp/backends/isc.ts'
import {
  hostRoutes,
  includedConfig,
  readIscConfig,
  routerOfRoutes,
  routesStatement,
  scopeRoutes,
  withoutRoutes,
} from '../../../src/strategies/dhcp/backends/isc-routes.ts'
import {CLIENT} from './support.ts'

const IP = '10.0.0.10'
const NAMED = 'option rfc3442-routes code 121 = array of integer 8;\n'
const subnet = (text: string, net = '10.0.0.0'): string => `subnet ${net} netmask 255.255.255.0 {\n${text}\n}\n`
const routes = (router: string): string => `option rfc3442-routes 0, ${router.replaceAll('.', ', ')};`

describe("dhcpd's configuration", () => {
  it.each<[string, string, string | undefined]>([
    ['of everybody', `${NAMED}${routes('10.0.0.1')}\n${subnet('')}`, '10.0.0.1'],
    [
      'of its subnet rather than of everybody',
      `${NAMED}${routes('10.0.0.9')}\n${subnet(routes('10.0.0.1'))}`,
      '10.0.0.1',
    ],
    [
      'of its shared network',
      `${NAMED}shared-network a { ${routes('10.0.0.1')} ${subnet('')} }\nshared-network b { ${routes('10.0.0.9')} ${subnet('', '10.9.0.0')} }`,
      '10.0.0.1',
    ],
    ['whose name is the usual one', subnet('option classless-routes = 00:a:0:0:1; # rfc3442'), '10.0.0.1'],
    ['that has no name', subnet('option unknown-121 = 00:0a:00:00:01;'), '10.0.0.1'],
    [
      'with other routes before it',
      `${NAMED}option rfc3442-routes 16, 10, 8, 10, 0, 0, 3, 0, 10, 0, 0, 1;`,
      '10.0.0.1',
    ],
    ['without a default route', `${NAMED}option rfc3442-routes 16, 10, 8, 10, 0, 0, 3;`, undefined],
    ['of another subnet', `${NAMED}${subnet('')}${subnet(routes('10.0.0.9'), '10.9.0.0')}`, undefined],
    [
      'of a class, a pool, a condition or another host',
      `${NAMED}class "x" { ${routes('10.0.0.9')} }
${subnet(`pool { ${routes('10.0.0.9')} } if known { ${routes('10.0.0.9')} }`)} host db-03 { ${routes('10.0.0.9')} }`,
      undefined,
    ],
    [
      'in a comment or a text',
      `${NAMED}# ${routes('10.0.0.9')}\noption domain-name "; ${routes('10.0.0.9')}";`,
      undefined,
    ],
  ])('gives the router of the option 121 %s', (_, text, want) => {
    expect(routerOfRoutes(scopeRoutes(readIscConfig(text), IP))).toBe(want)
  })

  it('includes other files where it says so, or is not known', () => {
    const files: Record<string, string> = {
      main: `${NAMED}${subnet('', '10.0.0.0')}${subnet(' include "nine"; ', '10.9.0.0')}# include "none";`,
      nine: `${routes('10.9.0.1')} # the last line`,
      loop: 'include "loop";',
      part: 'include "main"; include "none";',
    }
    const read = (path: string) => includedConfig(path, (each) => files[each])
    const given = (ip: string) => routerOfRoutes(scopeRoutes(readIscConfig(read('main')!), ip))
    expect([given(IP), given('10.9.0.10')]).toEqual([undefined, '10.9.0.1'])
    expect(['none', 'part', 'loop'].map(read)).toEqual([undefined, undefined, undefined])
  })

  it('that says of a VM what cannot be read is left alone, also where that came after the plan', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gwswitch-isc-'))
    const config = join(dir, 'dhcpd.conf')
    writeFileSync(config, `${NAMED}option rfc3442-routes = concat(option routers, 00);`)
    const dhcp = {server: 'isc', config, leases: join(dir, 'leases'), omapi: '127.0.0.1:1'} as const
    const backend = iscBackend(dhcp, {segment: 'tenant-a', world: {sleep: async () => {}}})
    await expect(backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})).rejects.toMatchObject({
      kind: 'refused',
      message: 'dhcpd gives web-07 option 121, which outweighs the router, and its value cannot be read',
    })
    rmSync(dir, {recursive: true})
  })

  it('has values that cannot be read', () => {
    const text = `${NAMED}option rfc3442-routes = concat(option routers, 00);`
    expect(scopeRoutes(readIscConfig(text), IP)).toEqual([{code: 121, routes: undefined}])
  })
})

describe("dhcpd's host", () => {
  const config = readIscConfig(`${NAMED}option ms-classless-static-routes code 249 = array of integer 8;`)

  it.each([
    ['as dhcpd writes it', 'supersede rfc3442-routes = 00:0a:00:00:01;'],
    ['as dhcpd writes numbers', 'supersede rfc3442-routes = concat (concat (concat (concat (00, 0a), 00) , 00), 01);'],
    ['with other routes', 'supersede rfc3442-routes = 10:0a:08:0a:00:00:03:00:0a:00:00:01;'],
  ])('has option 121 %s, and gets it with another default route', (_, said) => {
    const statements = `supersede domain-name = "a"; ${said}`
    const found = hostRoutes(statements, config)
    expect([found.map(({code}) => code), routerOfRoutes(found)]).toEqual([[121], '10.0.0.1'])
    const made = routesStatement(found[0]!, '10.0.0.2')
    const again = hostRoutes(made, config)
    expect(routerOfRoutes(again)).toBe('10.0.0.2')
    const others = (each: typeof found) => each[0]!.routes!.filter(({prefix}) => prefix.length > 0)
    expect(others(again)).toEqual(others(found))
    expect(withoutRoutes(statements, config)).toBe('supersede domain-name = "a";')
  })

  it('has option 249 as well, each by its own number', () => {
    const statements =
      'supersede rfc3442-routes = 00:0a:00:00:01; supersede ms-classless-static-routes = 00:0a:00:00:01;'
    const found = hostRoutes(statements, config)
    expect(found.map((each) => routesStatement(each, '10.0.0.2'))).toEqual([
      'option unknown-121 = 00:0a:00:00:02;',
      'option unknown-249 = 00:0a:00:00:02;',
    ])
    expect(withoutRoutes(statements, config)).toBe('')
  })
})
