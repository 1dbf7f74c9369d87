import {describe, expect, it} from 'vitest'
import {decimal} from '../../src/cli/flags.ts'

const read = (text: string, options: {min?: number; above?: number; max?: number}): Promise<number | undefined> => {
  const flag = decimal(options)
  return flag.parse(text, {} as never, flag as never)
}

describe('a decimal flag', () => {
  it.each([
    ['0', {}, 0],
    ['12', {}, 12],
    ['0.5', {above: 0}, 0.5],
    ['.25', {min: 0.25, max: 1}, 0.25],
  ])('reads %s', async (text, options, value) => {
    expect(await read(text, options)).toBe(value)
  })

  it.each([
    ['', {}, '"" is not a number from 0'],
    ['1e3', {}, '"1e3" is not a number from 0'],
    ['0x10', {}, '"0x10" is not a number from 0'],
    ['-1', {}, '"-1" is not a number from 0'],
    ['0', {above: 0}, '"0" is not a number above 0'],
    ['1.5', {max: 1}, '"1.5" is not a number from 0 to 1'],
    ['9', {above: 0, max: 8}, '"9" is not a number above 0, 8 at most'],
  ])('refuses %j in one line', async (text, options, message) => {
    await expect(read(text, options)).rejects.toMatchObject({kind: 'usage', message})
  })
})
