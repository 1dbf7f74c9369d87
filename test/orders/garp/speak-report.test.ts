import {expect, it} from 'vitest'
import {speakPlanned} from '../../../src/orders/garp/speak-report.ts'

it('plans an entry for every address that would be written, and for no link-local one', () => {
  const vm = {name: 'db-03', ip: '10.1.0.10', ip6: ['fe80::10', '2001:db8:1::10'], mac: '02:00:00:00:01:10'}
  const gateway = {name: 'by', mac: '02:00:00:00:0b:02', ip: '10.1.0.254', ip6: null}
  const request = {
    plan: {vm, port: 'vnet0', vlan: null, leg: 'br100', gateway, scheduleMs: [0]},
    ...{vmName: 'db-03', segment: undefined, echoTo: [], warnings: []},
  }
  const entries = speakPlanned(request, 'vnet0').frames.filter(({kind}) => kind === 'neighbour')
  expect(entries.map(({text}) => text)).toEqual(
    ['10.1.0.10', '2001:db8:1::10'].map((ip) => `${ip} is at 02:00:00:00:01:10, into the table of br100`),
  )
})
