import {spawnSync} from 'node:child_process'
import {join} from 'node:path'
import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {paintWith} from '../../src/render/paint.ts'
import {harmless, harmlessJson, printable} from '../../src/wire/printable.ts'

/** What steers a terminal or turns text round: controls, bidirectional and other format characters, line separators. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u
/** Text with more of them than chance would bring. */
const hostile = fc.array(
  fc.oneof(
    fc.constantFrom(
      '\u001b[31m',
      '\u001b]0;x\u0007',
      '\u202e',
      '\u2066',
      '\u200f',
      '\u061c',
      '\u0085',
      '\r\n',
      '\u2028',
    ),
    fc.string({unit: 'binary'}),
  ),
)

describe('what others say', () => {
  it.each([
    ['a\u001b[31mb\r\n', 'a\\u001b[31mb\\r\\n'],
    ['\u202eevil\u2069', '\\u202eevil\\u2069'],
    ['\u{e0041}', '\\udb40\\udc41'],
    ['\ud800', '\\ud800'],
    ['Grüße, 日本 🙂', 'Grüße, 日本 🙂'],
  ])('%j is shown as %j', (text, shown) => expect(harmless(text)).toBe(shown))

  it('steers nothing, whatever it is, and is one line', () => {
    fc.assert(
      fc.property(hostile, (parts) => {
        expect(printable(parts.join(''))).not.toMatch(UNSAFE)
      }),
    )
  })

  it('stays the same as JSON, and steers nothing there either', () => {
    fc.assert(
      fc.property(hostile, (parts) => {
        const json = harmlessJson(JSON.stringify({detail: parts}, undefined, 2))
        expect(JSON.parse(json)).toEqual({detail: parts})
        expect(json.replaceAll('\n', '')).not.toMatch(UNSAFE)
      }),
    )
  })

  it('has no colour of its own beside ours', () => {
    const {good, bold} = paintWith(true)
    expect(printable(bold(`${good('ok')} \u001b[32mCONFIRMED\u001b[0m`))).toBe(
      '\u001b[1m\u001b[32mok\u001b[39m \\u001b[32mCONFIRMED\\u001b[0m\u001b[22m',
    )
  })
})

describe('what a program of ours prints', () => {
  it('went through it', () => {
    const file = join(import.meta.dirname, '../../src/net/process/say.ts')
    const code = `import {print, printJson, say, overwrite} from ${JSON.stringify(file)}
      const evil = 'a\\u001b[2J\\u202e\\r\\nb'
      print(evil); say(evil); overwrite(evil); printJson({evil}, 2)`
    const {stdout, stderr} = spawnSync(process.execPath, ['--input-type=module', '-e', code], {encoding: 'utf8'})
    expect(stdout).toBe('a\\u001b[2J\\u202e\\r\\nb\n{\n  "evil": "a\\u001b[2J\\u202e\\r\\nb"\n}\n')
    expect(stderr).toBe('a\\u001b[2J\\u202e\\r\\nb\n\r\u001b[Ka\\u001b[2J\\u202e\\r\\nb')
  })
})
