import {describe, expect, it} from 'vitest'
import type {ShimLease} from '../../../src/domain/dhcp/shim-clients.ts'
import {peerAnswer, peerAsk, readPeerWord} from '../../../src/domain/dhcp/shim-peers.ts'
import {shimScope} from '../../../src/domain/dhcp/shim-scope.ts'
import {derivedNonce} from '../../../src/wire/dhcp-auth.ts'
import {serializeSealed} from '../../../src/wire/sealed.ts'
import {inventory, NOW, SERVER, STRANGER, VM_IP, VM_MAC} from './maker.ts'

const SECRET = new TextEncoder().encode('a secret that all sites share, 32')
const {vms} = shimScope(inventory, 'y')
const ID = 'ab'.repeat(16)
const OURS = Buffer.from(derivedNonce(SECRET, VM_MAC)).toString('hex')
const LEASE: ShimLease = {
  ...{segment: 'tenant-a', ip: VM_IP, client: `hw:1:${VM_MAC}`, mac: VM_MAC, state: 'bound', xid: 0xffff_fffe},
  ...{lastSeenMs: NOW, expiresAtMs: NOW + 3_600_000, t1S: 30, capable145: true, nonce: OURS, replay: 2n ** 63n + 1n},
  ...{router: '10.0.0.1', hostName: '', kind: 'dhcpcd', serverIdentifier: SERVER, portIndex: undefined},
  vlan: {id: 100, priority: 0, dropEligible: false},
}
const read = (bytes: Uint8Array, secret = SECRET) => readPeerWord(bytes, vms, secret)
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

describe('what shims say to each other', () => {
  it('is a question about a VM', () => {
    expect(read(peerAsk({id: ID, mac: VM_MAC}, SECRET))).toEqual({kind: 'ask', id: ID, mac: VM_MAC})
  })

  it.each<[string, ShimLease]>([
    ['with a nonce that everybody makes', LEASE],
    ['with one of its server', {...LEASE, nonce: '09'.repeat(16)}],
    ['of a client that has none', {...LEASE, nonce: '', capable145: false, kind: '', router: '', vlan: undefined}],
  ])('is all that a FORCERENEW takes, %s', (_, lease) => {
    // Where the client is there says nothing of here.
    expect(read(peerAnswer(ID, {...lease, portIndex: 7}, SECRET))).toEqual({kind: 'told', id: ID, lease})
  })

  it('leaves out a nonce that can be made', () => {
    expect(textOf(peerAnswer(ID, LEASE, SECRET))).not.toContain(OURS)
    expect(textOf(peerAnswer(ID, {...LEASE, nonce: '09'.repeat(16)}, SECRET))).toContain('09'.repeat(16))
  })

  it.each<[string, Uint8Array]>([
    ['with another secret', peerAnswer(ID, LEASE, SECRET.subarray(1))],
    ['about a VM that is none of ours', peerAnswer(ID, {...LEASE, mac: STRANGER}, SECRET)],
    ['of another version', serializeSealed({v: 2, ask: ID, mac: VM_MAC}, SECRET)],
    ['with more than is known', serializeSealed({v: 1, ask: ID, mac: VM_MAC, more: 1}, SECRET)],
    ['that is no object', serializeSealed([1], SECRET)],
    ['with an xid out of range', peerAnswer(ID, {...LEASE, xid: 2 ** 32}, SECRET)],
  ])('is nothing %s', (_, bytes) => {
    expect(read(bytes)).toBeUndefined()
  })
})
