import {chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {isForAll} from '../../../src/net/file/text-file.ts'

describe('a file', () => {
  it.each([
    [0o755, 0o755, 0o644, true],
    [0o711, 0o755, 0o644, true],
    [0o700, 0o755, 0o644, false],
    [0o755, 0o750, 0o644, false],
    [0o755, 0o755, 0o640, false],
  ])('in folders of mode %o and %o, itself %o, is for all: %s', (outer, inner, own, expected) => {
    const folder = mkdtempSync(join(tmpdir(), 'gwswitch-text-'))
    try {
      const file = join(folder, 'inner', 'file')
      mkdirSync(join(folder, 'inner'))
      writeFileSync(file, '')
      chmodSync(file, own)
      chmodSync(join(folder, 'inner'), inner)
      chmodSync(folder, outer)
      expect(isForAll(file)).toBe(expected)
    } finally {
      rmSync(folder, {recursive: true})
    }
  })
})
