import {describe, expect, it} from 'vitest'
import {canRedraw, inAscii, isUtf8, shareColour, wantsColour} from '../../src/net/process/terminal.ts'

describe('what a terminal can show', () => {
  it.each([
    [{CLICOLOR: '0'}, {NO_COLOR: '1'}],
    [{TERM: 'dumb'}, {NO_COLOR: '1'}],
    [{CLICOLOR_FORCE: '1'}, {FORCE_COLOR: '1'}],
    [{CLICOLOR: '0', FORCE_COLOR: '2'}, {}],
    [{}, {}],
  ])('is told to libraries: of %j, %j', (given, added) => {
    const env = {...given}
    shareColour(env)
    expect(env).toEqual({...given, ...added})
  })

  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, {NO_COLOR: '1'}, false],
    [true, {NO_COLOR: ''}, true],
    [true, {TERM: 'dumb'}, false],
    [true, {CLICOLOR: '0'}, false],
    [false, {CLICOLOR_FORCE: '1'}, true],
    [false, {CLICOLOR_FORCE: '0'}, false],
    [false, {CLICOLOR_FORCE: '1', NO_COLOR: '1'}, false],
    [true, {CLICOLOR_FORCE: '1', TERM: 'dumb'}, true],
    [false, {FORCE_COLOR: '1'}, true],
    [false, {FORCE_COLOR: '3', CLICOLOR: '0'}, true],
    [true, {FORCE_COLOR: '0'}, false],
    [true, {FORCE_COLOR: '1', NO_COLOR: '1'}, false],
  ])('a terminal: %s, with %j, has colour: %s', (isTerminal, env, colour) => {
    expect(wantsColour(isTerminal, env)).toBe(colour)
  })

  it.each([
    [true, {TERM: 'xterm'}, true],
    [true, {TERM: 'dumb'}, false],
    [false, {TERM: 'xterm'}, false],
  ])('a terminal: %s, with %j, can be written over: %s', (isTTY, env, can) => {
    expect(canRedraw({isTTY}, env)).toBe(can)
  })

  it.each([
    [{}, false],
    [{LANG: 'C'}, false],
    [{LANG: 'C.UTF-8'}, true],
    [{LANG: 'de_DE.utf8', LC_ALL: 'POSIX'}, false],
    [{LANG: 'C', LC_CTYPE: 'en_GB.UTF-8', LC_ALL: ''}, true],
    [{LANG: 'de_DE.ISO-8859-1'}, false],
  ])('the locale of %j has UTF-8: %s', (env, has) => {
    expect(isUtf8(env)).toBe(has)
  })

  it('draws in ASCII, as wide, and leaves what others are called', () => {
    expect(inAscii('hv ──▶ by ✓ été ▁▄█')).toBe('hv --> by + été _-#')
  })
})
