import {describe, expect, it} from 'vitest'
import {EVENT_KINDS, type EventKind, eventReader, readEventSource} from '../../../src/domain/movement/events.ts'
import {GOVC, incus, LINES, laidOut, MOVING, nova, POST_DEST, READY, recorded, VI_EVENT, vmi} from './recorded.ts'

/** What the lines say, as `KIND WHOM HOST`. */
function said(kind: EventKind, lines: readonly string[]): string[] {
  const read = eventReader(kind)
  return lines.flatMap(read).map((each) => {
    expect(each).toMatchObject({source: kind, port: null})
    return [each.kind, ...new Set([each.mac, each.vm, each.host].filter((part) => part !== null))].join(' ')
  })
}
const json = (...values: readonly object[]): string[] => values.map((value) => JSON.stringify(value))
const AT = '2026-12-01 08:59:38.817+0000: '
const line = (detail: string, vm = "'web-07'"): string => `${AT}event 'lifecycle' for domain ${vm}: ${detail}`
const web = 'tenant-a/web-07'
const mac = '02:00:00:00:00:10'

describe('lines of virsh, recorded', () => {
  it.each<[string, string, string[]]>([
    ['the source of a migration says that it left', 'source', ['left web-07']],
    [
      'the destination that it came, not that it was paused, and later that it left',
      'destination',
      ['arrived web-07', 'left web-07'],
    ],
    ['the destination of an aborted one that it will not come', 'aborted-destination', ['cancelled web-07']],
    ['the source whose destination died that it stays', 'failed-source', ['cancelled web-07']],
    ['the source of post-copy that it left', 'postcopy-source', ['left web-07']],
    ['the destination of post-copy that it came, once', 'postcopy-destination', ['arrived web-07']],
  ])('%s', (_name, file, news) => expect(said('libvirt', recorded(`libvirt-${file}`))).toEqual(news))
})

describe('lines of virsh', () => {
  it.each<[string, string[], string[]]>([
    [
      'of two domains at once are told apart',
      [
        line('Started Migrated'),
        line('Suspended Migrated', "'db'"),
        line('Resumed Migrated'),
        line('Resumed Migrated', "'db'"),
      ],
      ['arrived web-07', 'cancelled db'],
    ],
    ['heard from the middle of a migration say that it came', [line('Resumed Migrated')], ['arrived web-07']],
    ['of a libvirt that quotes no name', [line('Resumed Migrated', 'web-07')], ['arrived web-07']],
    ['of a domain with a colon and a quote in its name', [line('Resumed Migrated', "'a': b'")], ["arrived a': b"]],
    ['without a time', [line('Resumed Migrated').slice(AT.length)], ['arrived web-07']],
    ['with a carriage return', [`${line('Resumed Migrated')}\r`], ['arrived web-07']],
    ['of a cold start', [line('Resumed Unpaused'), line('Started Booted')], []],
    [
      'of other events',
      [
        "2026-12-01 08:59:38.817+0000: event 'migration-iteration' for domain 'web-07': iteration: '1'",
        'events received: 1',
        '',
      ],
      [],
    ],
  ])('%s', (_name, lines, news) => expect(said('libvirt', lines)).toEqual(news))
  it('say when, by the zone that they name', () => {
    const at = (text: string) => eventReader('libvirt')(text)[0]?.atMs
    expect(at(line('Resumed Migrated'))).toBe(Date.UTC(2026, 11, 1, 8, 59, 38, 817))
    expect(at(line('Resumed Migrated').replace('+0000', '+0200'))).toBe(Date.UTC(2026, 11, 1, 6, 59, 38, 817))
    expect(at(line('Resumed Migrated').slice(AT.length))).toBeNull()
  })
})

describe('what QEMU says at a monitor, recorded', () => {
  it.each<[string, string, string[]]>([
    ['the source, which was paused before, says that it left', 'source', [`left ${mac} web-07`]],
    ['the destination that it came, and not again after a pause', 'destination', [`arrived ${mac} web-07`]],
    [
      'one that is cancelled, and one that fails, that it stays',
      'cancelled-source',
      [`cancelled ${mac}`, `cancelled ${mac}`],
    ],
    ['the destination of a cancelled one that it will not come', 'cancelled-destination', [`cancelled ${mac}`]],
  ])('%s', (_name, file, news) => expect(said('qmp', recorded(`qmp-${file}`))).toEqual(news))
})

describe('what QEMU says at a monitor', () => {
  const event = (name: string, status?: string) => ({
    event: name,
    ...(status && {data: {status}}),
    timestamp: {seconds: 1796115814, microseconds: 582805},
  })
  const name = {return: {name: 'web-07'}}
  it.each<[string, object[], string[]]>([
    [
      'of events alone, where nobody asked anything',
      [name, event('MIGRATION', 'active'), event('RESUME')],
      ['arrived web-07'],
    ],
    [
      'with post-copy: it came before all of it is there',
      [
        name,
        {return: {status: 'inmigrate'}},
        event('MIGRATION', 'active'),
        event('MIGRATION', 'postcopy-active'),
        event('RESUME'),
        event('MIGRATION', 'completed'),
      ],
      ['arrived web-07'],
    ],
    [
      'of one that goes on to another host',
      [
        name,
        {return: {status: 'inmigrate'}},
        event('RESUME'),
        event('MIGRATION', 'completed'),
        event('MIGRATION', 'setup'),
        event('MIGRATION', 'active'),
        event('STOP'),
        event('MIGRATION', 'completed'),
      ],
      ['arrived web-07', 'left web-07'],
    ],
    [
      'of one whose migration failed after it stood still',
      [
        name,
        {return: {status: 'running'}},
        event('MIGRATION', 'setup'),
        event('STOP'),
        event('MIGRATION', 'failed'),
        event('RESUME'),
      ],
      ['cancelled web-07'],
    ],
    ['of a pause', [name, {return: {status: 'running'}}, event('STOP'), event('RESUME')], []],
    ['of one without a name or a NIC that tells its MAC', [{return: {status: 'inmigrate'}}, event('RESUME')], []],
  ])('%s', (_name, values, news) => expect(said('qmp', json(...values))).toEqual(news))
  it('says when', () =>
    expect(json(name, event('MIGRATION', 'active'), event('RESUME')).flatMap(eventReader('qmp'))[0]?.atMs).toBe(
      1796115814582,
    ))
})

describe('a VM of KubeVirt (by its sources: no cluster wrote these)', () => {
  const before = vmi(MOVING)
  const news = [`arrived ${mac} ${web} node-y`, `left ${mac} ${web} node-x`]
  it.each<[string, string[], string[]]>([
    ['comes when the target says that its domain is ready, a line a document', json(before, vmi(READY)), news],
    ['the same laid out over lines', [...laidOut(before), ...laidOut(vmi(READY))], news],
    [
      'the same by --output-watch-events',
      json({type: 'ADDED', object: before}, {type: 'MODIFIED', object: vmi(READY)}),
      news,
    ],
    [
      'is not told again when the migration completes',
      json(before, vmi(READY), vmi({...READY, completed: true})),
      news,
    ],
    [
      'whose migration was over when we came is no news',
      json(vmi({...READY, completed: true}), vmi({...READY, completed: true})),
      [],
    ],
    ['nor in a list', json({kind: 'List', items: [vmi(READY)]}), []],
    [
      'fails to come, told once',
      json(before, vmi({...MOVING, failed: true}), vmi({...MOVING, failed: true})),
      [`cancelled ${mac} ${web} node-y`],
    ],
    [
      'fails to come a second time',
      json(vmi({...MOVING, failed: true}), vmi({...MOVING, migrationUid: 'm2', failed: true})),
      [`cancelled ${mac} ${web} node-y`],
    ],
    [
      'that runs at the target stays there when the rest fails',
      json(before, vmi(READY), vmi({...READY, failed: true})),
      news,
    ],
    [
      'that was deleted and made anew is another one',
      json({type: 'ADDED', object: before}, {type: 'DELETED', object: before}, {type: 'ADDED', object: vmi(READY)}),
      [],
    ],
    [
      'after a document that was cut off',
      [...laidOut(before), ...laidOut(before).slice(0, 9), ...laidOut(vmi(READY))],
      news,
    ],
    [
      'after lines that are no JSON',
      [...json(before), 'error: connection lost', '{"kind": ', ...json(vmi(READY))],
      news,
    ],
  ])('%s', (_name, lines, expected) => expect(said('kubevirt', lines)).toEqual(expected))
  it('with several NICs is told by each, with one that tells no MAC by its name', () => {
    const nics = (state: object, interfaces: object[]) => ({...vmi(state), status: {...vmi(state).status, interfaces}})
    const two = [{mac: '02:00:00:00:00:10'}, {mac: '02:00:00:00:00:11'}]
    expect(said('kubevirt', json(nics(MOVING, two), nics(READY, two)))).toEqual([
      ...[`arrived ${mac} ${web} node-y`, `arrived 02:00:00:00:00:11 ${web} node-y`],
      ...[`left ${mac} ${web} node-x`, `left 02:00:00:00:00:11 ${web} node-x`],
    ])
    expect(said('kubevirt', json(nics(MOVING, [{name: 'x'}]), nics(READY, [{name: 'x'}])))[0]).toBe(
      `arrived ${web} node-y`,
    )
  })
})

describe('an event of vCenter (by its documentation: no vCenter wrote these)', () => {
  const news = ['arrived web-07 esx-y.example', 'left web-07 esx-x.example']
  it.each<[string, string[], string[]]>([
    ['as govc prints it', laidOut(GOVC, 2), news],
    ['without its type', json({...GOVC, type: undefined}), news],
    [
      'by DRS',
      json({...GOVC, message: 'DRS migrated web-07 from esx-x.example to esx-y.example in cluster c in dc-1'}),
      news,
    ],
    [
      'of a VM with commas and spaces in its name',
      json({...GOVC, message: GOVC.message.replace('web-07', 'a, b from c')}),
      ['arrived a, b from c esx-y.example', 'left a, b from c esx-x.example'],
    ],
    ['of other words', json({...GOVC, message: 'web-07 on esx-x.example in dc-1 is powered on'}), []],
    ['itself', json(VI_EVENT), news],
    ['itself, of a move to another datastore alone', json({...VI_EVENT, sourceHost: VI_EVENT.host}), []],
    [
      'itself, of a migration that failed',
      json({...VI_EVENT, _typeName: 'VmFailedMigrateEvent', host: VI_EVENT.sourceHost, destHost: VI_EVENT.host}),
      ['cancelled web-07 esx-y.example'],
    ],
    ['itself, of something else', json({...VI_EVENT, _typeName: 'VmPoweredOnEvent'}), []],
  ])('%s', (_name, lines, expected) => expect(said('vcenter', lines)).toEqual(expected))
})

describe('an event of Incus (by its sources: no Incus wrote these)', () => {
  it.each<[string, object[], string[]]>([
    ['of a migration says that it left its member', [incus('instance-migrated', 'x')], ['left web-07 x']],
    [
      'of a start elsewhere than before says that it came there',
      [incus('instance-started', 'x'), incus('instance-migrated', 'x'), incus('instance-started', 'y')],
      ['left web-07 x', 'arrived web-07 y'],
    ],
    [
      'of a start where it was is no news',
      [incus('instance-started', 'x'), incus('instance-stopped', 'x'), incus('instance-started', 'x')],
      [],
    ],
    [
      'of an older LXD, which names it in its source alone',
      [
        {
          ...incus('instance-migrated', 'x'),
          metadata: {action: 'instance-migrated', source: '/1.0/instances/web%2D07?project=p'},
        },
      ],
      ['left web-07 x'],
    ],
    ['of another type', [{...incus('instance-migrated', 'x'), type: 'logging'}], []],
  ])('%s', (_name, values, expected) => expect(said('incus', json(...values))).toEqual(expected))
})

describe('a notification of Nova', () => {
  const uuid = '178b0921-8f85-4257-88b6-2e743b5a975c'
  it.each<[string, object, string[]]>([
    ['of the destination: it came', nova(POST_DEST, 'host2'), [`arrived ${mac} ${uuid} host2`]],
    ['of the source: it left', nova('instance.live_migration_post.end', 'host1'), [`left ${mac} ${uuid} host1`]],
    [
      'of a rollback: it stays',
      nova('instance.live_migration_rollback_dest.end', 'host2'),
      [`cancelled ${mac} ${uuid} host2`],
    ],
    ['of the beginning of one is no news', nova('instance.live_migration_post_dest.start', 'host2'), []],
    ['without its envelope', JSON.parse(nova(POST_DEST, 'host2')['oslo.message']), [`arrived ${mac} ${uuid} host2`]],
    ['with an envelope around no JSON', {'oslo.message': '{"event_type'}, []],
  ])('%s', (_name, value, expected) => expect(said('nova', json(value))).toEqual(expected))
  it('says when, in UTC', () =>
    expect(eventReader('nova')(LINES.nova[0]!)[0]?.atMs).toBe(Date.UTC(2026, 11, 1, 8, 59, 38, 817)))
})

it.each(EVENT_KINDS)('%s: what is no event of it is no news', (kind) => {
  const read = eventReader(kind)
  for (const text of [
    '',
    '{}',
    '[]',
    'null',
    '{',
    '}',
    '{"metadata":null}',
    'x'.repeat(1 << 16),
    '{"a":'.repeat(1000),
    '\0',
  ])
    expect(read(text)).toEqual([])
})

describe('where events come from', () => {
  it('is said as a kind, or a kind and a place', () => {
    expect(readEventSource('libvirt')).toEqual({kind: 'libvirt', where: undefined})
    expect(readEventSource('libvirt=qemu+ssh://h/system?a=b')).toEqual({
      kind: 'libvirt',
      where: 'qemu+ssh://h/system?a=b',
    })
  })
  it.each([
    ['libvrt', 'there are no events of "libvrt" (did you mean "libvirt"?)'],
    ['qmp', "qmp wants the monitor's socket (qmp=/run/vm.qmp)"],
    ['nova', 'nova wants the file with the URL of its RabbitMQ (nova=/etc/gwswitch/nova.url)'],
    ['incus=', 'incus=: is no place where its events are'],
    ['kubevirt=--kubeconfig', 'kubevirt=--kubeconfig: is no place where its events are'],
  ])('%s is refused', (text, message) => expect(() => readEventSource(text)).toThrow(message))
})
