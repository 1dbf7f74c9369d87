import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {dnsmasqBackend, dnsmasqLine} from '../../../src/strategies/dhcp/backends/dnsmasq.ts'
import {
  isNeutrons,
  routerIn,
  routerLines,
  withLines,
  withRouter,
} from '../../../src/strategies/dhcp/backends/dnsmasq-options.ts'
import {iscReader} from '../../../src/strategies/dhcp/backends/isc.ts'
import {iscHost, iscRouter, withIscRouter} from '../../../src/strategies/dhcp/backends/isc-leases.ts'
import {keaBackend, keaLine} from '../../../src/strategies/dhcp/backends/kea.ts'
import {
  givenRouter,
  type KeaConfig,
  reservedRouter,
  reservedRouters,
  withReservedRouter,
  withReservedRouters,
} from '../../../src/strategies/dhcp/backends/kea-config.ts'
import {defaultRouter, withDefaultRouter} from '../../../src/strategies/dhcp/backends/kea-routes.ts'
import {transactionLog} from '../../../src/strategies/dhcp/backends/transaction-log.ts'
import {parseNonceFile} from '../../../src/strategies/dhcp/nonce-file.ts'
import type {Json} from '../../../src/strategies/strategy.ts'
import {CLIENT} from './support.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'gwswitch-backends-'))
})
afterAll(() => rmSync(dir, {recursive: true, force: true}))
const world = {sleep: async () => {}}
const context = {segment: 'tenant-a', world}

describe('the dnsmasq options file', () => {
  it.each([
    ['', 'tag:web-07,option:router,10.0.0.2\n'],
    [
      '# mine\ntag:web-07,option:router,10.0.0.1\ntag:db-03,option:router,10.0.0.1\n',
      '# mine\ntag:web-07,option:router,10.0.0.2\ntag:db-03,option:router,10.0.0.1\n',
    ],
    [
      'tag:web-07,3,10.0.0.1\ntag:web-07,option:dns-server,10.0.0.9',
      'tag:web-07,option:router,10.0.0.2\ntag:web-07,option:dns-server,10.0.0.9\n',
    ],
    [
      'tag:web-07,option:router,10.0.0.1\nx\ntag:web-07,option:router,10.0.0.9\n',
      'tag:web-07,option:router,10.0.0.2\nx\n',
    ],
    ['tag:web-070,option:router,10.0.0.1\n', 'tag:web-070,option:router,10.0.0.1\ntag:web-07,option:router,10.0.0.2\n'],
  ])('sets one line of %j', (before, after) => {
    expect(withRouter(before, 'web-07', '10.0.0.2')).toBe(after)
    expect(routerIn(after, 'web-07')).toBe('10.0.0.2')
    expect(withRouter(after, 'web-07', '10.0.0.2')).toBe(after)
  })

  it.each([
    '',
    '# mine\n',
    '# mine\ntag:web-07,option:router,10.0.0.1\nx\n',
    'tag:web-07,3,10.0.0.1, 10.0.0.9\ntag:db-03,option:router,10.0.0.1',
    'tag:web-07,option:router,10.0.0.1\nx\ntag:web-07,option:router,10.0.0.9\n\n',
  ])('is again what it was, byte for byte: %j', (before) => {
    const lines = routerLines(before, 'web-07')
    const changed = withRouter(before, 'web-07', '10.0.0.2')
    expect(routerIn(changed, 'web-07')).toBe('10.0.0.2')
    const back = withLines(changed, 'web-07', lines)
    // It ends with a newline once it was written to.
    expect(back).toBe(before === '' || before.endsWith('\n') ? before : `${before}\n`)
    expect(withLines(back, 'web-07', lines)).toBe(back)
  })

  it.each<[string, string, string, string[]]>([
    [
      'of the VM',
      'tag:web-07,121,10.8.0.0/16,10.0.0.3,0.0.0.0/0,10.0.0.1\n',
      '',
      ['tag:web-07,121,10.8.0.0/16,10.0.0.3,0.0.0.0/0,10.0.0.2'],
    ],
    [
      'of everybody, by name and by the number of Microsoft',
      'option:classless-static-route,0.0.0.0/0,10.0.0.1\n249,0.0.0.0/0,10.0.0.1\n',
      '',
      ['tag:web-07,121,0.0.0.0/0,10.0.0.2', 'tag:web-07,249,0.0.0.0/0,10.0.0.2'],
    ],
    [
      "of dnsmasq's own configuration",
      '',
      '121,169.254.169.254/32,10.0.0.1,0.0.0.0/0,10.0.0.1\noption:router,10.0.0.1',
      ['tag:web-07,121,169.254.169.254/32,10.0.0.1,0.0.0.0/0,10.0.0.2'],
    ],
    [
      'of the VM rather than of everybody',
      'tag:web-07,121,0.0.0.0/0,10.0.0.1,10.8.0.0/16,10.0.0.3\n',
      '121,0.0.0.0/0,10.0.0.1',
      ['tag:web-07,121,0.0.0.0/0,10.0.0.2,10.8.0.0/16,10.0.0.3'],
    ],
    [
      'with a comment behind it',
      'tag:web-07,121,0.0.0.0/0,10.0.0.1 # of web-07\n',
      '249,0.0.0.0/0,10.0.0.1\t#, all',
      ['tag:web-07,121,0.0.0.0/0,10.0.0.2', 'tag:web-07,249,0.0.0.0/0,10.0.0.2'],
    ],
    ['of others', 'tag:db-03,121,0.0.0.0/0,10.0.0.1\n', 'tag:red,tag:web-07,121,0.0.0.0/0,10.0.0.1', []],
    ['without a default route', '121,10.8.0.0/16,10.0.0.1\ntag:web-07,121,10.8.0.0/16,10.0.0.1\n', '', []],
  ])('sets option 121 beside the router where there is one %s', (_, before, elsewhere, want) => {
    const after = withRouter(before, 'web-07', '10.0.0.2', elsewhere)
    const added = after.split('\n').filter((line) => line.includes('10.0.0.2'))
    expect(added).toEqual(['tag:web-07,option:router,10.0.0.2', ...want])
    expect([routerIn(after, 'web-07'), withRouter(after, 'web-07', '10.0.0.2', elsewhere)]).toEqual(['10.0.0.2', after])
    expect(withLines(after, 'web-07', routerLines(before, 'web-07'))).toBe(before)
  })

  it.each([
    ['/var/lib/neutron/dhcp/5f0c/opts', '', true],
    ['/run/opts', 'tag:subnet-8a3e8c9f-3f4e-4b61-8c51-3c5b2a1f0d11,option:router,10.0.0.1\n', true],
    ['/run/opts', 'tag:web-07,option:router,10.0.0.1\n', false],
  ])('is known for one of Neutron: %s', (path, text, want) => {
    expect(isNeutrons(path, text)).toBe(want)
  })

  it('is left alone where Neutron writes it', async () => {
    const optsfile = join(dir, 'neutron-opts')
    writeFileSync(optsfile, 'tag:port-8a3e8c9f-3f4e-4b61-8c51-3c5b2a1f0d11,option:router,10.0.0.1\n')
    const backend = dnsmasqBackend({server: 'dnsmasq', optsfile, pidfile: join(dir, 'none')}, context)
    await expect(backend.check(CLIENT)).rejects.toThrow('is written by OpenStack Neutron')
  })

  it('keeps what others wrote meanwhile', () => {
    const before = 'a\ntag:web-07,option:router,10.0.0.1\n'
    const meanwhile = `tag:db-03,option:router,10.0.0.9\n${withRouter(before, 'web-07', '10.0.0.2')}b\n`
    const back = withLines(meanwhile, 'web-07', routerLines(before, 'web-07'))
    expect(back.split('\n').toSorted()).toEqual(
      ['', 'a', 'b', 'tag:db-03,option:router,10.0.0.9', 'tag:web-07,option:router,10.0.0.1'].toSorted(),
    )
    expect(withLines(meanwhile, 'web-07', null)).toBe('tag:db-03,option:router,10.0.0.9\na\nb\n')
  })

  it('is not touched while its dnsmasq is not running', async () => {
    const optsfile = join(dir, 'opts')
    writeFileSync(optsfile, 'tag:web-07,option:router,10.0.0.1\n')
    writeFileSync(join(dir, 'pid'), `${process.pid}\n`)
    const backend = dnsmasqBackend({server: 'dnsmasq', optsfile, pidfile: join(dir, 'pid')}, context)
    await expect(backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})).rejects.toThrow(
      `process ${process.pid} is not dnsmasq`,
    )
    expect(readFileSync(optsfile, 'utf8')).toBe('tag:web-07,option:router,10.0.0.1\n')
    const missing = dnsmasqBackend({server: 'dnsmasq', optsfile: join(dir, 'none'), pidfile: join(dir, 'pid')}, context)
    await expect(missing.check(CLIENT)).rejects.toThrow("no such file (want the file of dnsmasq's dhcp-optsfile=)")
  })
})

describe('server logs', () => {
  it('give the last transaction of a client', () => {
    const mac = '02:00:00:00:00:10'
    expect(
      dnsmasqLine('Nov 24 07:43:28 dnsmasq-dhcp[3671]: 3614863685 DHCPACK(eth0) 10.0.0.10 02:00:00:00:00:10 web'),
    ).toEqual({mac, xid: 3614863685, acked: true})
    expect(dnsmasqLine('Nov 24 07:43:28 dnsmasq-dhcp[3671]: DHCPACK(eth0) 10.0.0.10 02:00:00:00:00:10')).toBeUndefined()
    expect(
      keaLine(
        '2026-11-24 07:52:41.310 INFO  [kea-dhcp4.leases/22710.140] DHCP4_LEASE_ALLOC [hwtype=1 02:00:00:00:00:10], cid=[01:02:00:00:00:00:10], tid=0xd7768805: lease 10.9.0.10 has been allocated for 3600 seconds',
      ),
    ).toEqual({mac, xid: 0xd7768805, acked: true})
    const isc = iscReader()
    const ack = 'DHCPACK on 10.0.0.10 to 02:00:00:00:00:10 via eth0'
    expect(isc(ack)).toBeUndefined()
    expect(isc('gwswitch request 2:0:0:0:0:10 xid 6d1a2b3c')).toBeUndefined()
    expect(isc(ack)).toEqual({mac, xid: 0x6d1a2b3c, acked: true})
  })

  it('are followed as they grow, are cut and are replaced', () => {
    const file = join(dir, 'log')
    const line = (xid: number): string => `dnsmasq-dhcp[1]: ${xid} DHCPACK(eth0) 10.0.0.10 ${CLIENT.mac}\n`
    writeFileSync(file, `${line(1)}${line(2)}`)
    const log = transactionLog(file, dnsmasqLine)
    expect(log.last(CLIENT.mac)?.xid).toBe(2)
    const {serial} = log.last(CLIENT.mac)!
    // The same xid again is another transaction; half a line is none yet.
    writeFileSync(file, line(2), {flag: 'a'})
    writeFileSync(file, line(3).slice(0, 30), {flag: 'a'})
    expect(log.last(CLIENT.mac)).toMatchObject({xid: 2})
    expect(log.last(CLIENT.mac)!.serial).not.toBe(serial)
    writeFileSync(file, line(3).slice(30), {flag: 'a'})
    expect(log.last(CLIENT.mac)?.xid).toBe(3)
    writeFileSync(file, line(4))
    expect(log.last(CLIENT.mac)?.xid).toBe(4)
    rmSync(file)
    writeFileSync(file, `${line(5)}${line(6)}${line(7)}`)
    expect(log.last(CLIENT.mac)?.xid).toBe(7)
    rmSync(file)
    expect(() => log.last(CLIENT.mac)).toThrow(`${file}: cannot read the log: no such file`)
  })

  it('tell one ACK by one serial, from wherever in a long log it is looked for', () => {
    const file = join(dir, 'long-log')
    const ack = (time: string): string => `Nov 24 ${time} dnsmasq-dhcp[1]: 7 DHCPACK(eth0) 10.0.0.10 ${CLIENT.mac}\n`
    const others = (mib: number): string => `${'-'.repeat(1023)}\n`.repeat(mib << 10)
    const serial = (): string => transactionLog(file, dnsmasqLine).last(CLIENT.mac)!.serial
    writeFileSync(file, `${ack('07:43:28')}${others(12)}${ack('07:43:38')}`)
    const before = serial()
    // By now the first of the two is further back than anybody looks.
    writeFileSync(file, others(8), {flag: 'a'})
    expect(serial()).toBe(before)
    writeFileSync(file, ack('07:43:48'), {flag: 'a'})
    const after = serial()
    expect(after).not.toBe(before)
    // Rotated: what came before is in another file.
    rmSync(file)
    writeFileSync(file, ack('07:43:48'))
    expect(serial()).toBe(after)
  })
})

describe("Kea's configuration", () => {
  const bare: KeaConfig = {subnet4: [{id: 7, subnet: '10.0.0.0/24'}]}
  const reserved: KeaConfig = {
    'shared-networks': [
      {
        subnet4: [
          {
            id: 7,
            subnet: '10.0.0.0/24',
            reservations: [
              {
                'hw-address': '02:00:00:00:00:10'.toUpperCase(),
                'ip-address': '10.0.0.10',
                'option-data': [
                  {name: 'routers', code: 3, data: '10.0.0.1, 10.0.0.9'},
                  {name: 'log-servers', data: '10.0.0.5'},
                ],
              },
            ],
          },
        ],
      },
    ],
  }
  it('gets a reservation with the router, or another router in the one there is', () => {
    expect(withReservedRouter(bare, CLIENT, '10.0.0.2').subnet4).toEqual([
      {
        id: 7,
        subnet: '10.0.0.0/24',
        reservations: [
          {'hw-address': CLIENT.mac, 'ip-address': CLIENT.ip, 'option-data': [{name: 'routers', data: '10.0.0.2'}]},
        ],
      },
    ])
    const changed = withReservedRouter(reserved, CLIENT, '10.0.0.2')
    expect(reservedRouter(reserved, CLIENT)).toBe('10.0.0.1')
    expect(reservedRouter(changed, CLIENT)).toBe('10.0.0.2')
    expect(JSON.stringify(changed)).toContain('log-servers')
    const global = withReservedRouter({...bare, reservations: [{'hw-address': CLIENT.mac}]}, CLIENT, '10.0.0.2')
    expect(global.reservations).toEqual([
      {'hw-address': CLIENT.mac, 'option-data': [{name: 'routers', data: '10.0.0.2'}]},
    ])
    expect(() => withReservedRouter({subnet4: []}, CLIENT, '10.0.0.2')).toThrow('no subnet that holds 10.0.0.10')
  })

  it('tells which router a client gets, and whether that was said of it alone', () => {
    const routers = (data: string) => ({'option-data': [{name: 'routers', data}]})
    const subnet = {id: 7, subnet: '10.0.0.0/24'}
    expect(givenRouter({subnet4: [subnet]}, CLIENT)).toBeUndefined()
    expect(givenRouter({...routers('10.0.0.8'), subnet4: [subnet]}, CLIENT)).toBe('10.0.0.8')
    const network = {...routers('10.0.0.7'), subnet4: [subnet]}
    expect(givenRouter({...routers('10.0.0.8'), 'shared-networks': [network]}, CLIENT)).toBe('10.0.0.7')
    const own = {...network, subnet4: [{...subnet, ...routers('10.0.0.6')}]}
    expect(givenRouter({'shared-networks': [own]}, CLIENT)).toBe('10.0.0.6')
    expect(givenRouter(reserved, CLIENT)).toBe('10.0.0.1')
    expect([reservedRouters(bare, CLIENT), reservedRouters(reserved, CLIENT)]).toEqual([
      null,
      [{at: 0, option: {name: 'routers', code: 3, data: '10.0.0.1, 10.0.0.9'}}],
    ])
  })

  it.each([
    ['no reservation', bare],
    ['another router', reserved],
    [
      'a reservation without a router',
      {subnet4: [{id: 7, subnet: '10.0.0.0/24', reservations: [{'hw-address': CLIENT.mac, 'option-data': []}]}]},
    ],
  ] as const)('is what it was where there was %s', (_, before: KeaConfig) => {
    const routers = reservedRouters(before, CLIENT)
    const changed = withReservedRouter(before, CLIENT, '10.0.0.2')
    const back = withReservedRouters(changed, CLIENT, routers)
    const filled = before === bare ? {subnet4: [{...bare.subnet4![0], reservations: []}]} : before
    expect(back).toEqual(filled)
    expect(withReservedRouters(back, CLIENT, routers)).toEqual(back)
  })

  it('keeps a reservation that others gave more to meanwhile', () => {
    const [subnet] = withReservedRouter(bare, CLIENT, '10.0.0.2').subnet4!
    const named = {subnet4: [{...subnet!, reservations: [{...subnet!.reservations![0], hostname: 'web'}]}]}
    expect(withReservedRouters(named, CLIENT, null).subnet4![0]!.reservations).toEqual([
      {'hw-address': CLIENT.mac, 'ip-address': CLIENT.ip, hostname: 'web', 'option-data': []},
    ])
  })

  it('is changed by reservation-update where the hook is loaded, in memory, and by config-set where it is not', async () => {
    for (const hook of [true, false]) {
      const asked: {command: string; arguments?: unknown}[] = []
      const path = join(dir, `kea-${hook}`)
      const server = createServer({allowHalfOpen: true}, (socket) => {
        socket.on('data', (data) => {
          const request = JSON.parse(data.toString()) as {command: string}
          asked.push(request)
          const answer = {
            'config-get': {Dhcp4: reserved, hash: 'ab'},
            'list-commands': ['config-get', ...(hook ? ['reservation-update'] : [])],
          }[request.command]
          socket.end(JSON.stringify({result: 0, arguments: answer}))
        })
      })
      await new Promise<void>((resolve) => server.listen(path, resolve))
      await keaBackend({server: 'kea', control: path}, context).setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
      server.close()
      const last = asked.at(-1)!
      if (hook) {
        expect(last).toMatchObject({
          command: 'reservation-update',
          arguments: {
            'operation-target': 'memory',
            reservation: {'subnet-id': 7, 'option-data': [{name: 'log-servers'}, {name: 'routers', data: '10.0.0.2'}]},
          },
        })
      } else {
        expect(last.command).toBe('config-set')
        expect(Object.keys(last.arguments as object)).toEqual(['Dhcp4'])
      }
    }
  })

  it.each<[string, string, string]>([
    ['hex', '10a9fe0a000002000a000001', '10a9fe0a000002000a000002'],
    ['hex with colons', '00:0a:00:00:01', '000a000002'],
    ['numbers', '0, 10, 0, 0, 1, 8, 9, 10, 0, 0, 3', '0, 10, 0, 0, 2, 8, 9, 10, 0, 0, 3'],
    ['text', '10.9.0.0/16 - 10.0.0.3, 0.0.0.0/0 - 10.0.0.1', '10.9.0.0/16 - 10.0.0.3, 0.0.0.0/0 - 10.0.0.2'],
  ])('has another default route in option 121 written as %s, and the other routes as they were', (_, data, want) => {
    expect([defaultRouter(data), withDefaultRouter(data, '10.0.0.2')]).toEqual(['10.0.0.1', want])
  })

  it.each<[string, string, null | undefined]>([
    ['no default route', '10a9fe0a000002', null],
    ['no default route in words', '10.9.0.0/16 - 10.0.0.3', null],
    ['half a route', '000a00', undefined],
    ['something else', 'ip via 10.0.0.1', undefined],
    ['nothing', '', undefined],
  ])('has no default route to change in option 121 of %s', (_, data, want) => {
    expect(defaultRouter(data)).toBe(want)
  })

  it('gives the router by option 121 of subnet or pool too, and takes both back', () => {
    const routes = {code: 121, 'csv-format': false, data: '000a000001'}
    const pools = [
      {pool: '10.0.0.2 - 10.0.0.9', 'option-data': [{...routes, data: '000a000009'}]},
      {pool: '10.0.0.10-10.0.0.20', 'option-data': [routes]},
      {pool: '10.0.0.32/27'},
    ]
    for (const before of [
      {subnet4: [{id: 7, subnet: '10.0.0.0/24', 'option-data': [{name: 'routers', data: '10.0.0.9'}, routes]}]},
      {subnet4: [{id: 7, subnet: '10.0.0.0/24', 'option-data': [{name: 'routers', data: '10.0.0.9'}], pools}]},
    ] satisfies KeaConfig[]) {
      expect(givenRouter(before, CLIENT)).toBe('10.0.0.1')
      const changed = withReservedRouter(before, CLIENT, '10.0.0.2')
      expect(changed.subnet4![0]!.reservations![0]!['option-data']).toEqual([
        {name: 'routers', data: '10.0.0.2'},
        {...routes, data: '000a000002'},
      ])
      expect(givenRouter(changed, CLIENT)).toBe('10.0.0.2')
      expect(withReservedRouters(changed, CLIENT, null).subnet4![0]!.reservations).toEqual([])
    }
  })

  it('is not changed where its option 121 cannot be read', () => {
    const odd = {subnet4: [{id: 7, subnet: '10.0.0.0/24', 'option-data': [{code: 121, data: 'by 10.0.0.1'}]}]}
    expect(() => withReservedRouter(odd, CLIENT, '10.0.0.2')).toThrow('option 121, which outweighs the router')
  })

  it.each<[string, KeaConfig, string[], boolean]>([
    ['has no reservation-update', reserved, ['config-set'], false],
    ['has no reservation of the VM', bare, ['config-set', 'reservation-update'], false],
    [
      'has a global reservation of the VM alone',
      {...bare, reservations: [{'hw-address': CLIENT.mac}]},
      ['config-set', 'reservation-update'],
      false,
    ],
    ['can update its reservation', reserved, ['config-set', 'reservation-update'], true],
  ])('is not set anew where Kea is one of a pair, which stops DHCP for everybody: it %s', async (...given) => {
    const [why, config, commands, isFine] = given
    const asked: string[] = []
    const path = join(dir, `kea-ha-${why.length}`)
    const pair = {...config, 'hooks-libraries': [{library: '/usr/lib/kea/hooks/libdhcp_ha.so'}]}
    const server = createServer({allowHalfOpen: true}, (socket) => {
      socket.on('data', (data) => {
        const {command} = JSON.parse(data.toString()) as {command: string}
        asked.push(command)
        const answers: Record<string, unknown> = {
          ...{'config-get': {Dhcp4: pair}, 'list-commands': commands},
          'status-get': {},
        }
        socket.end(JSON.stringify({result: 0, arguments: answers[command]}))
      })
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const backend = keaBackend({server: 'kea', control: path}, context)
    const checked = backend.check(CLIENT)
    if (isFine) await checked
    else await expect(checked).rejects.toThrow('this Kea is one of a high-availability pair')
    const set = backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
    if (isFine) await set
    else await expect(set).rejects.toThrow('not done')
    server.close()
    expect(asked).not.toContain('config-set')
  })

  it('is changed at every server of the segment, and put back at each as it was there', async () => {
    const {controls, routersNow, close} = await twoServers()
    const backend = keaBackend({server: 'kea', controls}, context)
    const before = await backend.statement(CLIENT)
    expect(before).toMatchObject({router: null, own: [null, [{at: 0}]]})
    await backend.check(CLIENT)
    await backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
    expect(routersNow()).toEqual(['10.0.0.2', '10.0.0.2'])
    expect(await backend.statement(CLIENT)).toMatchObject({router: '10.0.0.2'})
    await backend.restore(CLIENT, before)
    expect(routersNow()).toEqual([undefined, '10.0.0.1'])
    close(0, 1)
  })

  it('is put back by the plan of an earlier version, which knew one server, and only where there is one', async () => {
    const {controls, routersNow, close} = await twoServers()
    const earlier = {router: '10.0.0.1', own: reservedRouters(reserved, CLIENT) as unknown as Json, legible: true}
    const active = keaBackend({server: 'kea', control: controls[1]!}, context)
    await active.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
    await active.restore(CLIENT, earlier)
    expect(routersNow()).toEqual([undefined, '10.0.0.1'])
    for (const own of [[], [[]]]) {
      await active.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
      await active.restore(CLIENT, {...earlier, own})
      expect(routersNow()).toEqual([undefined, undefined])
    }
    const both = keaBackend({server: 'kea', controls}, context)
    await expect(both.restore(CLIENT, earlier)).rejects.toThrow('is known of 1, and there are 2 servers')
    close(0, 1)
  })

  it('is put back at every server that can be reached, and the first that cannot is said', async () => {
    const {controls, routersNow, close} = await twoServers()
    const backend = keaBackend({server: 'kea', controls}, context)
    const before = await backend.statement(CLIENT)
    await backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
    close(0)
    await expect(backend.restore(CLIENT, before)).rejects.toThrow(controls[0])
    expect(routersNow()).toEqual(['10.0.0.2', '10.0.0.1'])
    close(1)
  })

  /** A standby that says nothing of the client, and an active server with its reservation; each takes a `config-set`. */
  async function twoServers() {
    const servers = new Map<string, {config: KeaConfig; open: ReturnType<typeof createServer>}>()
    const other: KeaConfig = {subnet4: [{id: 7, subnet: '10.0.0.0/24'}]}
    for (const [name, config] of [
      ['standby', other],
      ['active', reserved],
    ] as const) {
      const path = join(dir, `kea-${name}`)
      const open = createServer({allowHalfOpen: true}, (socket) => {
        socket.on('data', (data) => {
          const request = JSON.parse(data.toString()) as {command: string; arguments: {Dhcp4: KeaConfig}}
          if (request.command === 'config-set') servers.get(path)!.config = request.arguments.Dhcp4
          const answers: Record<string, unknown> = {
            'config-get': {Dhcp4: servers.get(path)!.config},
            'list-commands': [],
          }
          socket.end(JSON.stringify({result: 0, arguments: answers[request.command]}))
        })
      })
      servers.set(path, {config, open})
      await new Promise<void>((resolve) => open.listen(path, resolve))
    }
    return {
      controls: [...servers.keys()],
      routersNow: () => [...servers.values()].map(({config}) => givenRouter(config, CLIENT)),
      close: (...which: number[]) => {
        for (const i of which) [...servers.values()][i]!.open.close()
      },
    }
  }

  it.each([
    ['{"result": 1, "text": "bad config"}', 'kea-dhcp4: config-get: bad config'],
    ['HTTP/1.1 400 Bad Request', 'what answers there is not kea-dhcp4'],
  ])('answered by %s is one line', async (answer, message) => {
    const path = join(dir, `kea-bad-${message.length}`)
    const server = createServer({allowHalfOpen: true}, (socket) => socket.on('data', () => socket.end(answer)))
    await new Promise<void>((resolve) => server.listen(path, resolve))
    await expect(keaBackend({server: 'kea', control: path}, context).check(CLIENT)).rejects.toThrow(message)
    server.close()
    await expect(keaBackend({server: 'kea', control: join(dir, 'nobody')}, context).check(CLIENT)).rejects.toThrow(
      'no such socket (is kea-dhcp4 running?)',
    )
  })
})

describe('the leases file of ISC dhcpd', () => {
  const host = (name: string, ...lines: string[]): string =>
    `host ${name} {\n${lines.map((each) => `  ${each}\n`).join('')}}\n`
  const web = ['dynamic;', `hardware ethernet ${CLIENT.mac};`, `fixed-address ${CLIENT.ip};`]
  const lease = `lease 10.0.0.99 {\n  hardware ethernet ${CLIENT.mac};\n}\n`

  it('has the hosts that it was told of, the last word counting', () => {
    const first = `${lease}${host('web-07', ...web, '      supersede routers = 0a:00:00:01;')}`
    expect(iscHost(first, CLIENT.mac)).toEqual({
      name: 'web-07',
      ip: CLIENT.ip,
      statements: 'supersede routers = 0a:00:00:01;',
    })
    const second = `${first}${host('web-07', 'dynamic;', 'deleted;')}`
    expect(iscHost(second, CLIENT.mac)).toBeUndefined()
    const third = `${second}${host('other', ...web)}`
    expect(iscHost(third, CLIENT.mac)).toEqual({name: 'other', ip: CLIENT.ip, statements: ''})
    expect(iscHost(lease, CLIENT.mac)).toBeUndefined()
    expect(iscHost('', CLIENT.mac)).toBeUndefined()
  })

  it.each([
    ['supersede routers = 0a:00:00:01;', '10.0.0.1'],
    ['supersede routers = 0a:00:00:01:0a:00:00:09;', '10.0.0.1'],
    ['supersede domain-name = "a"; option routers 10.0.0.1, 10.0.0.9;', '10.0.0.1'],
    ['supersede domain-name = "routers";', undefined],
    ['', undefined],
  ])('gives by %j the router %s', (statements, router) => {
    const known = {name: 'web-07', ip: CLIENT.ip, statements}
    expect(iscRouter(known)).toBe(router)
    expect(iscRouter({...known, statements: withIscRouter(statements, '10.0.0.2')})).toBe('10.0.0.2')
    if (statements.includes('domain-name')) expect(withIscRouter(statements, '10.0.0.2')).toContain('domain-name')
  })
})

describe('nonce files', () => {
  const hex = '49f5494a9392438406bc35804a6f7342'
  it('hold one nonce, or one a MAC', () => {
    expect(parseNonceFile(`# mine\n${hex.toUpperCase()}\n`, 'f').of(CLIENT.mac)).toEqual(
      Uint8Array.from(Buffer.from(hex, 'hex')),
    )
    const several = parseNonceFile(`${CLIENT.mac} ${hex}  # web-07\n02:00:00:00:00:11 ${'0'.repeat(32)}\n`, 'f')
    expect(several.of('02:00:00:00:00:11')).toEqual(new Uint8Array(16))
    expect(several.of('02:00:00:00:00:12')).toBeUndefined()
  })
  it.each([`${hex}0`, 'xyz', `02:00 ${hex}`, `${CLIENT.mac} ${hex} more`, CLIENT.mac])(
    'refuse %j with its line',
    (text) => {
      expect(() => parseNonceFile(`\n${text}`, 'nonces')).toThrow('nonces:2: is neither "MAC NONCE" nor a NONCE')
    },
  )
})
