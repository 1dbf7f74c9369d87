// Makes keys and writes them where they belong.
import {createHash, type KeyObject} from 'node:crypto'
import {Document, isMap, parseDocument} from 'yaml'
import {parseAgentConfig} from '../../domain/agent/config.ts'
import {Failure} from '../../errors.ts'
import {createFile, replaceFile} from '../../net/file/replace-file.ts'
import {makeFolderOf, readText, textIfReadable} from '../../net/file/text-file.ts'
import {newPrivateKey, privateKeyText, publicKeyText, readPrivateKey, readPublicKey} from '../../wire/agent-message.ts'

export interface MadeKey {
  readonly schema: 'gwswitch.agent-keygen/1'
  readonly file: string
  readonly publicKey: string
  /** First 16 characters of the JWK thumbprint (RFC 7638): to compare by voice. */
  readonly fingerprint: string
  /** False if the file was there already. */
  readonly created: boolean
}

/** Writes a new private key, readable by its owner only; one that is there is kept, unless `force`. */
export function makeKey(file: string, force: boolean): MadeKey {
  const present = force ? undefined : existingKey(file)
  const key = present ?? newPrivateKey()
  if (present === undefined) {
    makeFolderOf(file, 0o755)
    if (force) replaceFile(file, privateKeyText(key), {mode: 0o600})
    else createFile(file, privateKeyText(key), 0o600)
  }
  const publicKey = publicKeyText(key)
  return {
    schema: 'gwswitch.agent-keygen/1',
    file,
    publicKey,
    fingerprint: fingerprint(publicKey),
    created: present === undefined,
  }
}

/** First 16 characters of the JWK thumbprint (RFC 7638) of a public key. */
export const fingerprint = (x: string): string =>
  createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url').slice(0, 16)

function existingKey(file: string): KeyObject | undefined {
  const text = readText(file)
  if (text === undefined) return undefined
  const key = readPrivateKey(text)
  if (key === undefined)
    throw new Failure('usage', `${file}: exists and holds no Ed25519 private key (want another --out, or --force)`)
  return key
}

export interface EnrollOrder {
  readonly file: string
  readonly vm: string | undefined
  readonly kid: string
  /** Public key: 43 characters, a JWK, PEM, or the name of a file with one of them. */
  readonly key: string
  readonly gateways: readonly string[]
  readonly probes: readonly string[]
  readonly dmiUuid: string | undefined
  readonly dryRun: boolean
}

export interface Enrolled {
  readonly schema: 'gwswitch.agent-enroll/1'
  readonly file: string
  readonly vm: string
  readonly kid: string
  readonly fingerprint: string
  readonly gateways: readonly string[]
  /** The whole configuration as it is now, or would be. */
  readonly text: string
}

/** Adds a trusted key to an agent.yaml, or makes one; comments in it stay. @throws Failure `usage`. */
export function enroll({file, vm, kid, key, gateways, probes, dmiUuid, dryRun}: EnrollOrder): Enrolled {
  const publicKey = readPublicKey(key) ?? readPublicKey(readText(key) ?? '')
  if (publicKey === undefined)
    throw new Failure(
      'usage',
      `--key ${key}: is no Ed25519 public key, and no file with one (want what "gwswitch agent keygen" prints)`,
    )
  const x = publicKeyText(publicKey)
  const before = readText(file)
  const document = before === undefined || before.trim() === '' ? new Document({version: 1}) : parseDocument(before)
  if (document.errors.length > 0 || !isMap(document.contents))
    throw new Failure(
      'usage',
      `${file}: is no agent.yaml: ${document.errors[0]?.message.split('\n')[0] ?? 'not a map'}`,
    )
  if (vm !== undefined) document.set('vm', vm)
  if (!document.has('vm')) throw new Failure('usage', `${file}: has no vm: say which with --vm`)
  if (dmiUuid !== undefined) document.set('dmiUuid', dmiUuid)
  if (probes.length > 0) document.set('probes', document.createNode(probes, {flow: true}))
  document.setIn(['trusted', kid], document.createNode({key: x, gateways: document.createNode(gateways, {flow: true})}))
  const text = document.toString({lineWidth: 0})
  // What is written must be what the agent will read.
  const config = parseAgentConfig(text, file)
  if (!dryRun) {
    makeFolderOf(file, 0o755)
    replaceFile(file, text)
  }
  return {schema: 'gwswitch.agent-enroll/1', file, vm: config.vm, kid, fingerprint: fingerprint(x), gateways, text}
}

/** This machine's DMI product UUID. @throws Failure `runtime` if it has none to read. */
export function dmiUuidToBind(): string {
  const uuid = textIfReadable('/sys/class/dmi/id/product_uuid')?.trim().toLowerCase()
  if (uuid) return uuid
  throw new Failure('runtime', '--bind: this machine shows no DMI UUID, or only to root: leave it out')
}
