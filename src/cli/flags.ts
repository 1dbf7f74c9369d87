// Flags and arguments that several commands take, so that they look and fail alike.
import {Flags} from '@oclif/core'

/** A whole number in a range, with the unit in the help. */
export const whole = Flags.custom<number, {min?: number; max?: number}>({
  parse: async (input, _context, {min = 0, max = Number.MAX_SAFE_INTEGER}) => {
    const value = /^\d+$/.test(input) ? Number(input) : Number.NaN
    if (!(value >= min && value <= max)) {
      const {Failure} = await import('../errors.ts')
      throw new Failure('usage', `"${input}" is not a whole number from ${min} to ${max}`)
    }
    return value
  },
})

/** A number, decimals allowed, of at least `min` or of more than `above`. */
export const decimal = Flags.custom<number, {min?: number; above?: number; max?: number}>({
  parse: async (input, _context, {above, min = 0, max = Number.MAX_VALUE}) => {
    const value = /^\d*\.?\d+$/.test(input) ? Number(input) : Number.NaN
    if (value <= max && (above === undefined ? value >= min : value > above)) return value
    const {Failure} = await import('../errors.ts')
    const from = above === undefined ? `from ${min}` : `above ${above}`
    const to = max === Number.MAX_VALUE ? '' : above === undefined ? ` to ${max}` : `, ${max} at most`
    throw new Failure('usage', `"${input}" is not a number ${from}${to}`)
  },
})

export const vlanFlag = whole({
  helpValue: 'ID',
  max: 4094,
  min: 1,
  summary: '802.1Q tag of the segment on that interface',
})
export const dryRunFlag = Flags.boolean({default: false, summary: 'say what would be done, do nothing'})
export const pcapFlag = Flags.string({helpValue: 'FILE', summary: 'write every frame sent and received, for Wireshark'})
