// Signed messages as anybody may make them, right or wrong.
import {type KeyObject, sign} from 'node:crypto'
import {newPrivateKey, publicKeyText, readPublicKey, type SigningKey} from '../../src/wire/agent-message.ts'

/** A key pair under the kid site-y, and the look-up of whoever trusts it. */
export function sampleKey() {
  const key = newPrivateKey()
  const publicKey = readPublicKey(publicKeyText(key))!
  const keyOf = (kid: string): KeyObject | undefined => (kid === 'site-y' ? publicKey : undefined)
  const signing: SigningKey = {kid: 'site-y', privateKey: key}
  return {key, keyOf, signing}
}

export const bytes = (text: string): Buffer => Buffer.from(text)

/** A part of a JWS; text is taken for JSON already. */
export const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A token with a signature by `by`, whatever it says. */
export function tokenBy(by: KeyObject, header: unknown, payload: unknown): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${sign(null, bytes(input), by).toString('base64url')}`
}
