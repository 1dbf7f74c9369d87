import {describe, expect, it} from 'vitest'
import {type LeaseSeen, withLease} from '../../../src/domain/proof/lease.ts'
import type {Proof} from '../../../src/domain/proof/proof.ts'

const RX = {name: 'rx', site: 'x', ip: '10.0.0.1', mac: '02:00:00:00:0a:01'}
const RY = {name: 'ry', site: 'y', ip: '10.0.0.2', mac: '02:00:00:00:0b:01'}
const UNSEEN: Proof = {code: 'unverified', away: false, hidden: false, uses: null, evidence: []}
const STAYED: Proof = {...UNSEEN, code: 'elsewhere', away: true, uses: RX}
const SERVED: Proof = {...UNSEEN, code: 'served', uses: RY}
const NONE = {acked: undefined, askedFor: [], told: false, answered: false, next: null, onLeg: false} as const
const LOGGED = {...NONE, told: true, answered: true, next: RY.ip} as const
const WHY = /was not seen to use it: .*option 121 .*static route .*stock dhclient/

describe('what a lease says beside packets', () => {
  it.each<[string, Proof, LeaseSeen & {onLeg: boolean}, Proof['code'], string | RegExp, boolean]>([
    ['an ACK that was seen', SERVED, {...NONE, acked: RY.ip}, 'served', 'its last ACK gave it 10.0.0.2', false],
    [
      "an ACK in the server's log, which does not say what it gave",
      UNSEEN,
      LOGGED,
      'unverified',
      'its server has answered it since, and is configured to give it 10.0.0.2',
      false,
    ],
    ['no ACK in that log', UNSEEN, {...LOGGED, answered: false}, 'silent', 'no new ACK to it was seen', false],
    ['no ACK, and no log', UNSEEN, NONE, 'unverified', 'no new ACK to it was seen', false],
    [
      'a server that is set to give another router by now',
      SERVED,
      {...LOGGED, next: RX.ip},
      'elsewhere',
      'its server has answered it since, and is configured to give it 10.0.0.1',
      false,
    ],
    ['the router in an ACK, and another one in use', STAYED, {...NONE, acked: RY.ip}, 'elsewhere', WHY, true],
    ['the router in an ACK, and nothing at its own leg', UNSEEN, {...LOGGED, onLeg: true}, 'unverified', WHY, true],
    ['the router in an ACK, and nothing where nothing passes', UNSEEN, LOGGED, 'unverified', /configured/, false],
    ['no new ACK, and another router in use', STAYED, NONE, 'elsewhere', 'no new ACK to it was seen', false],
  ])('%s', (_, proof, lease, code, line, names) => {
    const judged = withLease({name: 'web-07'}, RY, proof, lease)
    expect(judged.code).toBe(code)
    expect(judged.evidence.filter((each) => (typeof line === 'string' ? each === line : line.test(each)))).toHaveLength(
      1,
    )
    expect(judged.evidence.some((each) => WHY.test(each))).toBe(names)
  })
})
