// The reconfigure nonces of VMs whose server hands out a fixed one.

import {Failure} from '../../errors.ts'
import {isMac, type Mac, readMac} from '../../wire/address.ts'
import {RECONFIGURE_KEY_LENGTH} from '../../wire/dhcp-auth.ts'

/** One nonce for whoever is meant, or one a MAC. */
export interface NonceFile {
  of(mac: Mac): Uint8Array | undefined
}

const HEX = new RegExp(`^[0-9a-f]{${RECONFIGURE_KEY_LENGTH * 2}}$`, 'i')

/**
 * Reads `MAC HEX` lines, or a single nonce for one client; `#` begins a comment.
 * @throws Failure `usage` with the line that is neither.
 */
export function parseNonceFile(text: string, file: string): NonceFile {
  const byMac = new Map<Mac, Uint8Array>()
  let single: Uint8Array | undefined
  for (const [i, raw] of text.split('\n').entries()) {
    const words = raw
      .replace(/#.*/, '')
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '')
    if (words.length === 0) continue
    const hex = words.at(-1)!
    const mac = words.length === 2 && isMac(words[0]!) ? readMac(words[0]!) : undefined
    if (!HEX.test(hex) || words.length > 2 || (words.length === 2 && mac === undefined)) {
      throw new Failure('usage', `${file}:${i + 1}: is neither "MAC NONCE" nor a NONCE (want 32 hex digits)`)
    }
    const nonce = Uint8Array.from(Buffer.from(hex, 'hex'))
    if (mac === undefined) single = nonce
    else byMac.set(mac, nonce)
  }
  return {of: (mac) => byMac.get(mac) ?? single}
}
