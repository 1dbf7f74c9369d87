import {mkdtempSync, rmSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {keaBackend} from '../../../src/strategies/dhcp/backends/kea.ts'
import {
  givenRouter,
  type KeaConfig,
  placeOf,
  reservedRouters,
  withReservedRouter,
  withReservedRouters,
} from '../../../src/strategies/dhcp/backends/kea-config.ts'
import {type KeaStatus, nobodyAnswers, pairCautions, pairText} from '../../../src/strategies/dhcp/backends/kea-ha.ts'
import {CLIENT} from './support.ts'

const RX = {name: 'routers', data: '10.0.0.1'}
const SUBNET = {id: 7, subnet: '10.0.0.0/24'}
const BY_IP = {'ip-address': CLIENT.ip, 'option-data': [RX]}
const ofSubnet = (...reservations: object[]): KeaConfig => ({subnet4: [{...SUBNET, reservations}]}) as KeaConfig

describe("a client's reservation in Kea", () => {
  it.each<[string, object]>([
    ['client-id', {...BY_IP, 'client-id': 'FF0000000100010001AABB'}],
    ['duid', {...BY_IP, duid: '00010001aabb'}],
    ['circuit-id', {...BY_IP, 'circuit-id': '706F727437'}],
    ['flex-id', {...BY_IP, 'flex-id': '706F727437'}],
    ['client-id made of its MAC, without an address', {'client-id': '01:02:00:00:00:00:10', 'option-data': [RX]}],
  ])('is changed in place where it is by %s, and put back', (_, reservation) => {
    const before = ofSubnet({'ip-address': '10.0.0.11', duid: '00'}, reservation)
    expect(givenRouter(before, CLIENT)).toBe('10.0.0.1')
    const changed = withReservedRouter(before, CLIENT, '10.0.0.2')
    expect(changed).toEqual(
      ofSubnet(
        {'ip-address': '10.0.0.11', duid: '00'},
        {...reservation, 'option-data': [{name: 'routers', data: '10.0.0.2'}]},
      ),
    )
    expect(givenRouter(changed, CLIENT)).toBe('10.0.0.2')
    expect(withReservedRouters(changed, CLIENT, reservedRouters(before, CLIENT))).toEqual(before)
  })

  it.each<[string, KeaConfig, object]>([
    [
      'by the identifier that Kea looks for first',
      {
        ...ofSubnet({...BY_IP, 'hw-address': CLIENT.mac}, {...BY_IP, duid: '00'}),
        'host-reservation-identifiers': ['duid', 'hw-address'],
      },
      {...BY_IP, duid: '00'},
    ],
    [
      'by its MAC where nothing is set',
      ofSubnet({...BY_IP, 'circuit-id': '00'}, {'hw-address': CLIENT.mac}),
      {'hw-address': CLIENT.mac},
    ],
    [
      'in its own subnet, though its MAC is known in another one',
      {
        subnet4: [
          {id: 6, subnet: '10.1.0.0/24', reservations: [{'hw-address': CLIENT.mac}]},
          {...SUBNET, reservations: [{...BY_IP, 'client-id': '00'}]},
        ],
      },
      {...BY_IP, 'client-id': '00'},
    ],
  ])('is the one %s', (_, config, want) => {
    expect(placeOf(config, CLIENT)?.reservation).toEqual(want)
  })

  const elsewhere = {id: 6, subnet: '10.1.0.0/24', reservations: [{'hw-address': CLIENT.mac}], 'option-data': [RX]}
  it.each<[string, boolean, KeaConfig]>([
    ['of another network', false, {subnet4: [elsewhere, SUBNET]}],
    ['of its shared network', true, {'shared-networks': [{subnet4: [elsewhere, SUBNET]}]}],
  ])('in a subnet %s is its own: %s', (_, isOwn, config) => {
    expect([placeOf(config, CLIENT) !== undefined, givenRouter(config, CLIENT)]).toEqual(
      isOwn ? [true, '10.0.0.1'] : [false, undefined],
    )
  })

  it.each<[string, KeaConfig, string]>([
    [
      'Kea reserves the address for another MAC',
      ofSubnet({'hw-address': '02:00:00:00:00:99', 'ip-address': CLIENT.ip}),
      'reserves 10.0.0.10 of web-07 for another hw-address, 02:00:00:00:00:99',
    ],
    [
      'Kea never looks for a MAC',
      {...ofSubnet(), 'host-reservation-identifiers': ['client-id']},
      'looks for none by hw-address (host-reservation-identifiers: client-id)',
    ],
  ])('is not added where %s', (_, config, why) => {
    expect(() => withReservedRouter(config, CLIENT, '10.0.0.2')).toThrow(why)
  })
})

const server = (role: string, state: string, scopes: string[], remote?: object): KeaStatus => ({
  'high-availability': [
    {
      'ha-mode': 'hot-standby',
      'ha-servers': {local: {role, state, scopes}, ...(remote && {remote: {role: 'x', 'in-touch': true, ...remote}})},
    },
  ],
})

describe('a pair of Keas', () => {
  const unusual = (role: string, state: string, does: string): string =>
    `the ${role} server of the Kea pair is in state ${state} and answers ${does}: a server that starts again meanwhile begins with what its file says`
  const alone =
    'the partner of this Kea is not in controls, and is not told: a client that it answers gets what it gave before'

  it.each<[string, KeaStatus[], string | undefined, boolean, string[]]>([
    ['is none', [{}], undefined, true, []],
    [
      'is well',
      [server('standby', 'hot-standby', []), server('primary', 'hot-standby', ['s1'])],
      'standby hot-standby, primary hot-standby',
      true,
      [],
    ],
    [
      'has one that comes back',
      [server('standby', 'partner-down', ['s1', 's2']), server('primary', 'syncing', [])],
      'standby partner-down, primary syncing',
      true,
      [unusual('standby', 'partner-down', 'clients'), unusual('primary', 'syncing', 'nobody')],
    ],
    [
      'has both of them waiting',
      [server('standby', 'waiting', []), server('primary', 'waiting', [])],
      'standby waiting, primary waiting',
      false,
      [unusual('standby', 'waiting', 'nobody'), unusual('primary', 'waiting', 'nobody')],
    ],
    [
      'is told by half, and the other half answers',
      [server('standby', 'hot-standby', [], {'last-state': 'hot-standby', 'last-scopes': ['s1']})],
      'standby hot-standby',
      true,
      [alone],
    ],
    [
      'is told by half, and the other half is not heard any more',
      [server('standby', 'hot-standby', [], {'in-touch': false, 'last-state': 'hot-standby', 'last-scopes': ['s1']})],
      'standby hot-standby',
      false,
      [alone],
    ],
  ])('that %s', (_, statuses, text, isAnswering, cautions) => {
    expect([pairText(statuses), nobodyAnswers(statuses) === undefined, pairCautions(statuses)]).toEqual([
      text,
      isAnswering,
      cautions,
    ])
  })
})

describe('Kea by its control socket', () => {
  let dir: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'gwswitch-kea-'))
  })
  afterAll(() => rmSync(dir, {recursive: true, force: true}))

  interface Double {
    readonly backend: ReturnType<typeof keaBackend>
    readonly asked: string[]
    readonly path: string
    config(): KeaConfig
    close(): void
  }

  async function double(
    name: string,
    first: KeaConfig,
    more: {persist?: boolean; answers?: Record<string, unknown>; refuses?: string},
  ): Promise<Double> {
    const asked: string[] = []
    let config = first
    const path = join(dir, name)
    const open = createServer({allowHalfOpen: true}, (socket) => {
      socket.on('data', (data) => {
        const {command, arguments: args} = JSON.parse(data.toString()) as {
          command: string
          arguments: {Dhcp4: KeaConfig; reservation: object}
        }
        asked.push(command)
        if (command === 'config-set') config = args.Dhcp4
        const answers = {'config-get': {Dhcp4: config}, 'list-commands': [], ...more.answers}
        socket.end(
          JSON.stringify(
            command === more.refuses
              ? {result: 1, text: 'Unable to open file'}
              : {result: 0, arguments: answers[command as keyof typeof answers]},
          ),
        )
      })
    })
    await new Promise<void>((resolve) => open.listen(path, resolve))
    return {
      backend: keaBackend(
        {server: 'kea', control: path, ...(more.persist && {persist: true})},
        {segment: 'tenant-a', world: {sleep: async () => {}}},
      ),
      asked,
      path,
      config: () => config,
      close: () => void open.close(),
    }
  }

  it('writes its file only where that is wanted, after every change and after what is put back', async () => {
    for (const persist of [false, true]) {
      const kea = await double(`persist-${persist}`, ofSubnet(), {persist})
      const before = await kea.backend.statement(CLIENT)
      await kea.backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
      await kea.backend.restore(CLIENT, before)
      await kea.backend.restore(CLIENT, before)
      expect(kea.asked.filter((command) => /set|write/.test(command))).toEqual(
        persist ? ['config-set', 'config-write', 'config-set', 'config-write'] : ['config-set', 'config-set'],
      )
      kea.close()
    }
  })

  it('has its memory back as it was where its file cannot be written', async () => {
    const kea = await double('readonly', ofSubnet(), {persist: true, refuses: 'config-write'})
    const before = await kea.backend.statement(CLIENT)
    await expect(kea.backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})).rejects.toThrow(
      /^\S+readonly: kea-dhcp4: config-write: Unable to open file \(persist\): put back$/,
    )
    expect(kea.config()).toEqual(ofSubnet())
    // What a rollback finds is as it was: it asks for no file.
    await kea.backend.restore(CLIENT, before)
    expect(kea.asked.filter((command) => command === 'config-write')).toHaveLength(1)
    kea.close()
  })

  it('gives a client what it had, though a rollback cannot write its file, which is said', async () => {
    const kea = await double('full', ofSubnet(), {persist: true, refuses: 'config-write'})
    const before = await kea.backend.statement(CLIENT)
    await keaBackend(
      {server: 'kea', control: kea.path},
      {segment: 'tenant-a', world: {sleep: async () => {}}},
    ).setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
    await expect(kea.backend.restore(CLIENT, before)).rejects.toThrow(
      /^\S+full: kea-dhcp4: config-write: Unable to open file \(persist\): its memory is as it was, its file is not$/,
    )
    expect(givenRouter(kea.config(), CLIENT)).toBeUndefined()
    kea.close()
  })

  it('has its file back as well where the other server could not write its own', async () => {
    const first = await double('first', ofSubnet(), {persist: true})
    const second = await double('second', ofSubnet(), {persist: true, refuses: 'config-write'})
    const both = keaBackend(
      {server: 'kea', controls: [first.path, second.path], persist: true},
      {segment: 'tenant-a', world: {sleep: async () => {}}},
    )
    const before = await both.statement(CLIENT)
    await expect(both.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})).rejects.toThrow(/second: .*: put back$/)
    expect([first, second].map(({config}) => givenRouter(config(), CLIENT))).toEqual(['10.0.0.2', undefined])
    await both.restore(CLIENT, before)
    expect([first, second].map(({config}) => config())).toEqual([ofSubnet(), ofSubnet()])
    const writes = ({asked}: Double) => asked.filter((command) => command === 'config-write').length
    expect([writes(first), writes(second), first.asked.at(-1)]).toEqual([2, 1, 'config-write'])
    first.close()
    second.close()
  })

  it('is not told anything while no server of its pair answers clients, and tells how they are', async () => {
    const pair = {...ofSubnet({...BY_IP, duid: '00'}), 'hooks-libraries': [{library: 'libdhcp_ha.so'}]}
    const commands = ['reservation-update']
    const isWell = (state: string, scopes: string[]) => ({
      answers: {'status-get': server('primary', state, scopes), 'list-commands': commands},
    })
    const well = await double('well', pair, isWell('hot-standby', ['s1']))
    expect(await well.backend.check(CLIENT)).toEqual([expect.stringContaining('is not in controls')])
    expect(await well.backend.condition!()).toBe('high-availability states: primary hot-standby')
    await well.backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})
    expect(well.asked).toContain('reservation-update')
    well.close()
    const mute = await double('mute', pair, isWell('waiting', []))
    const why = 'no server of this high-availability pair answers clients now (primary waiting)'
    await expect(mute.backend.check(CLIENT)).rejects.toThrow(why)
    await expect(mute.backend.setRouter(CLIENT, {ip: '10.0.0.2', site: 'y'})).rejects.toThrow(why)
    expect(mute.asked).not.toContain('reservation-update')
    mute.close()
  })
})
