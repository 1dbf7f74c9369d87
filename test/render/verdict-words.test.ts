// Colour of results: what a line says in capitals, and nothing that it does not say.
import {expect, it} from 'vitest'
import {paintWith} from '../../src/render/paint.ts'
import {markVerdict} from '../../src/render/verdict-words.ts'

const paint = {
  bold: (text: string) => `<b>${text}</b>`,
  dim: (text: string) => text,
  good: (text: string) => `<good>${text}</good>`,
  warn: (text: string) => `<warn>${text}</warn>`,
  bad: (text: string) => `<bad>${text}</bad>`,
}

it.each([
  ['SWITCHED    db-03 is served by by (site y)', '<good>SWITCHED</good>    db-03 is served by by (site y)'],
  ['ROLLED BACK db-03 is as it was', '<warn>ROLLED BACK</warn> db-03 is as it was'],
  ['NOT MOVED db-03 answered ARP', '<bad>NOT MOVED</bad> db-03 answered ARP'],
  ['  UNKNOWN  web-07', '<bad>  UNKNOWN</bad>  web-07'],
  ['db-03  vnet1  12  MISSING', 'db-03  vnet1  12  <bad>MISSING</bad>'],
  ['VM     PORT   PACKETS', '<b>VM     PORT   PACKETS</b>'],
  // Names of others, and words in the middle.
  ['SWITCHEDX is a VM', 'SWITCHEDX is a VM'],
  ['the VM is LOST', 'the VM is LOST'],
  ['ARP of 10.1.0.1', 'ARP of 10.1.0.1'],
])('marks what %j says', (line, marked) => {
  expect(markVerdict(line, paint)).toBe(marked)
  expect(markVerdict(line, paint)).toBe(marked)
})

it('leaves a line as it is that carries colour, and every line without colour', () => {
  const painted = paintWith(true).good('SWITCHED')
  expect(markVerdict(painted, paintWith(true))).toBe(painted)
  expect(markVerdict('SWITCHED  db-03', paintWith(false))).toBe('SWITCHED  db-03')
})
