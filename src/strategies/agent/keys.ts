// The key that orders are signed with, and the one that answers are checked by, as files and flags give them.
import {basename, extname} from 'node:path'
import {Failure} from '../../errors.ts'
import {readNamed, readText} from '../../net/file/text-file.ts'
import {publicKeyText, readPrivateKey, readPublicKey, type SigningKey} from '../../wire/agent-message.ts'

/** @throws Failure `usage` for a file that is not there, that others can read too, or that holds no such key. `kid` is the file's name by default. */
export function readSigningKey(file: string, kid?: string): SigningKey {
  const text = readNamed(file, `want a private key; "gwswitch agent keygen --out ${file}" makes one`, 'private')
  const privateKey = readPrivateKey(text)
  if (privateKey === undefined)
    throw new Failure('usage', `${file}: holds no Ed25519 private key (want PKCS #8 PEM, or a JWK)`)
  return {kid: kid ?? basename(file, extname(file)), privateKey}
}

/** The 43 characters of a public key from themselves, a JWK, PEM, or the name of a file with one of them. */
export function readAgentKey(text: string, flag = '--agent-key'): string {
  const key = readPublicKey(text) ?? readPublicKey(readText(text) ?? '')
  if (key !== undefined) return publicKeyText(key)
  throw new Failure(
    'usage',
    `${flag} ${text}: is no Ed25519 public key and no file with one (want what "gwswitch agent keygen" prints${flag === '--agent-key' ? ' in the VM' : ''})`,
  )
}
