import {expect, it} from 'vitest'
import {undoVerdict} from '../../../src/orders/undo/run-undo.ts'
import {endedFor, preparedFor} from '../../support/journal.ts'
import {verdict} from '../../support/strategy.ts'

const document = endedFor(preparedFor('db-03'))
const silent = {...verdict('silent'), ok: true, uses: null}

it.each([
  ['was served, and is silent now, is not seen to be as it was', {verdict: undefined, document}, silent, false],
  ['was verified before its process died, likewise', {verdict: verdict('served'), document: undefined}, silent, false],
  ['was never heard is as it was', {verdict: undefined, document: undefined}, silent, true],
  ['is heard is what the network says', {verdict: undefined, document}, {...verdict('elsewhere'), ok: true}, true],
])('a VM that %s', (_what, entry, said, ok) => {
  expect(undoVerdict(entry, said)).toEqual({...said, ok})
})
