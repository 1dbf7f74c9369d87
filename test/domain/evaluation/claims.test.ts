import {describe, expect, it} from 'vitest'
import {type Claim, paperTable} from '../../../src/domain/evaluation/claims.ts'
import type {LabRunRow, LabRunSession} from '../../../src/domain/evaluation/lab-run.ts'
import {family, madeRun, row, run, sample} from '../../support/made-run.ts'

type End = LabRunSession['end']
const session = (end: End): LabRunSession => ({end, gapMs: 250})

/** A row whose sessions end so, a sample for each end of `plain`. */
const ends = (id: string, plain: readonly End[], nat: readonly (End | null)[] = [], over: Partial<LabRunRow> = {}) =>
  row({
    id,
    samples: plain.map((end, i) =>
      sample({round: i + 1, tcp: {plain: session(end), nat: nat[i] ? session(nat[i]) : null}}),
    ),
    ...over,
  })
const control = (plain: readonly End[], nat: readonly End[] = []) => ends('nothing', plain, nat, {kind: 'control'})
const ALIVE: readonly End[] = ['alive', 'alive']
const CUT: readonly End[] = ['cut', 'alive']

/** A client of the dhcp strategy that came to the new gateway, or not, in each of its migrations. */
const client = (id: string, came: readonly boolean[], unreachable: number | null = 0, end: End = 'alive') =>
  row({
    id,
    samples: came.map((is) =>
      sample({
        ...{unreachable, tcp: {plain: session(end), nat: null}},
        ipv4: family({toFirstMs: is ? 400 : null}),
      }),
    ),
  })

const find = (id: Claim['id'], rows: readonly LabRunRow[]): Claim =>
  paperTable(run(rows))
    .flatMap(({claims}) => claims)
    .find((claim) => claim.id === id)!

describe('a claim of the paper', () => {
  it.each<[Claim['id'], readonly LabRunRow[], Claim['mark'], RegExp]>([
    ['arp-sessions', [], 'not tried', /^Not tried in this run\.$/],
    ['arp-sessions', [ends('arp.x', ALIVE, [], {samples: [sample({void: 'jumped'})]})], 'not tried', /^Not tried/],
    // Somebody else's ARP is not this strategy.
    ['arp-sessions', [ends('arping.x', ALIVE, [], {kind: 'other', strategy: undefined})], 'not tried', /^Not tried/],
    [
      'arp-sessions',
      [ends('arp.x', ALIVE)],
      'confirmed',
      /1 form: 2 of 2 lived .*; none was opened through .*translate/,
    ],
    ['arp-sessions', [ends('arp.x', ALIVE, ALIVE), control(ALIVE, ALIVE)], 'confirmed', /\(control: 2 of 2\)/],
    ['arp-sessions', [ends('arp.x', ALIVE, CUT), control(ALIVE, ALIVE)], 'refined', /1 of 2 lived through .*translate/],
    [
      'arp-sessions',
      [ends('arp.x', CUT, ALIVE), control(ALIVE, ALIVE)],
      'refuted',
      /1 of 2 lived through .*only route/,
    ],
    ['arp-sessions', [ends('arp.x', CUT), control(['cut', 'cut'])], 'refined', /it is not the method/],
    ['arp-sessions', [ends('arp.x', ['silent', 'silent']), control(ALIVE)], 'refuted', /0 of 2 lived/],
    ['arp-faults', [ends('arp.x', ALIVE)], 'not tried', /nothing about the search for faults/],
    ['agent-sessions', [], 'not tried', /^Not tried/],
    ['agent-sessions', [ends('agent.udp', ALIVE, ALIVE)], 'refined', /Other forms were not tried/],
    [
      'agent-sessions',
      [ends('agent.udp', ALIVE, ALIVE), ends('agent.qga', CUT)],
      'confirmed',
      /All lived with agent\.udp\.$/,
    ],
    [
      'agent-sessions',
      [ends('agent.udp', ALIVE, CUT), ends('agent.drain', ALIVE, ALIVE)],
      'confirmed',
      /with agent\.drain/,
    ],
    ['agent-sessions', [ends('agent.udp', ALIVE, CUT), ends('agent.qga', ALIVE, CUT)], 'refined', /on the gateways/],
    ['agent-sessions', [ends('agent.udp', ALIVE), ends('agent.qga', ALIVE)], 'refuted', /does not depend/],
    ['dhcp-renew', [ends('dhcp.shim.dhcpcd', ALIVE)], 'not tried', /^Not tried/],
    [
      'dhcp-renew',
      [client('dhcp.forcerenew.dhcpcd', [true, true])],
      'refined',
      /1 of 1 client .*dhcpcd in 2 of 2\. Others/,
    ],
    [
      'dhcp-renew',
      ['dhcpcd', 'udhcpc', 'dhclient'].map((name) => client(`dhcp.forcerenew.${name}`, [name === 'dhcpcd', true])),
      'confirmed',
      /1 of 3 clients always came .*udhcpc in 1 of 2/,
    ],
    [
      'dhcp-renew',
      ['dhcpcd', 'udhcpc', 'dhclient'].map((name) => client(`dhcp.forcerenew.${name}`, [true])),
      'refuted',
      /3 of 3/,
    ],
    ['dhcp-short-lease', [client('dhcp.nak.dhclient', [true], 3)], 'not tried', /^Not tried/],
    ['dhcp-short-lease', [client('dhcp.short-t1.udhcpc', [true])], 'refuted', /without a route in 0 of 1/],
    ['dhcp-short-lease', [client('dhcp.short-t1.udhcpc', [true], 4)], 'refined', /without a route in 1 of 1/],
    ['dhcp-short-lease', [client('dhcp.short-t1.udhcpc', [true], null)], 'refined', /was not asked/],
    ['dhcp-short-lease', [client('dhcp.short-t1.udhcpc', [true], 4, 'cut')], 'confirmed', /0 of 1 lived/],
    ['dhcp-short-lease', [client('dhcp.short-t1.udhcpc', [true], 0, 'cut')], 'refined', /0 of 1 lived/],
    [
      'dhcp-short-lease',
      [client('dhcp.short-t1.udhcpc', [true], 4, 'cut'), control(['cut'])],
      'refined',
      /control: 0 of 1/,
    ],
  ])('%s (row %#)', (id, rows, mark, said) => {
    const found = find(id, rows)
    expect(found.said).toMatch(said)
    expect(found.mark).toBe(mark)
  })

  it('is marked by the rows of its own method alone', () => {
    const marks = (rows: readonly LabRunRow[]) => paperTable(run(rows)).flatMap(({claims}) => claims.map((c) => c.mark))
    expect(new Set(marks(madeRun().rows.filter(({strategy}) => strategy === 'mac-proxy')))).toEqual(
      new Set(['not tried']),
    )
    expect(marks(madeRun().rows)).toEqual(['refined', 'refined', 'not tried', 'refined', 'refuted'])
  })
})
