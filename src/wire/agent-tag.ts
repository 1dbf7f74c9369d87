// A tag at the end of a message: whoever can check its signature can check this first, for a thirtieth of the cost, and
// whoever knows no more than the name of a key cannot make one. As WireGuard's mac1 (whitepaper, 5.4.4), it keeps floods
// away from public-key arithmetic and authenticates nobody: the signature does.
import {createHash, createHmac, type KeyObject, timingSafeEqual} from 'node:crypto'
import {publicKeyText} from './agent-keys.ts'

const LABEL = 'gwswitch tag v1'
/** The same in every tag of a key: what a filter in the kernel can compare. */
const HINT_BYTES = 3
const MAC_BYTES = 13
/** Characters of a tag in base64url; the first four are the hint. */
export const TAG_LENGTH = 22

interface TagSecret {
  readonly hint: Buffer
  readonly key: Buffer
}

const secrets = new WeakMap<KeyObject, TagSecret>()

/** Of the signer's public half, which is in the configuration of those that it speaks to, and never on the wire. */
function secretOf(key: KeyObject): TagSecret {
  const known = secrets.get(key)
  if (known !== undefined) return known
  const derived = createHash('sha512')
    .update(LABEL)
    .update(Buffer.from(publicKeyText(key), 'base64url'))
    .digest()
  const secret = {hint: derived.subarray(0, HINT_BYTES), key: derived.subarray(32)}
  secrets.set(key, secret)
  return secret
}

function tagOf(token: string, key: KeyObject): Buffer {
  const secret = secretOf(key)
  const mac = createHmac('sha256', secret.key).update(token).digest()
  return Buffer.concat([secret.hint, mac.subarray(0, MAC_BYTES)])
}

/** 22 characters: the hint, and 104 bits of HMAC-SHA-256 over a compact JWS. `key` is the signer's, either half. */
export const tagText = (token: string, key: KeyObject): string => tagOf(token, key).toString('base64url')

/** The four characters with which all tags of a key begin. */
export const hintOf = (key: KeyObject): string => secretOf(key).hint.toString('base64url')

/** Whether `tag` is that of this compact JWS by the holder of this key. */
export function isTagOf(tag: string, token: string, key: KeyObject): boolean {
  const bytes = Buffer.from(tag, 'base64url')
  return bytes.length === HINT_BYTES + MAC_BYTES && timingSafeEqual(bytes, tagOf(token, key))
}
