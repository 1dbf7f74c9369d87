// Ed25519 keys as files and flags carry them.
import {createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject} from 'node:crypto'

/** A new Ed25519 key. */
export const newPrivateKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey

/** PKCS #8 PEM (RFC 8410), the form of private key files. */
export const privateKeyText = (key: KeyObject): string => key.export({type: 'pkcs8', format: 'pem'}) as string

/** The 32 bytes of the public half in base64url, 43 characters: the `x` of its JWK (RFC 8037). */
export function publicKeyText(key: KeyObject): string {
  const half = key.type === 'private' ? createPublicKey(key) : key
  return (half.export({format: 'jwk'}) as {x: string}).x
}

/** A public key from its 43 characters, a JWK in JSON, or PEM; undefined if it is none of Ed25519. */
export function readPublicKey(text: string): KeyObject | undefined {
  const trimmed = text.trim()
  const x = /^[\w-]{43}$/.test(trimmed) ? trimmed : (decodedJwk(trimmed)?.x as string | undefined)
  return ed25519(() =>
    createPublicKey(x === undefined ? trimmed : {key: {kty: 'OKP', crv: 'Ed25519', x}, format: 'jwk'}),
  )
}

/** A private key from PEM or a JWK in JSON; undefined if it is none of Ed25519. */
export function readPrivateKey(text: string): KeyObject | undefined {
  const jwk = decodedJwk(text)
  return ed25519(() => createPrivateKey(jwk === undefined ? text : {key: jwk, format: 'jwk'}))
}

function decodedJwk(text: string): Record<string, string> | undefined {
  try {
    const value = JSON.parse(text) as Record<string, string> | null
    return value?.crv === 'Ed25519' ? value : undefined
  } catch {
    return undefined
  }
}

function ed25519(make: () => KeyObject): KeyObject | undefined {
  try {
    const key = make()
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}
