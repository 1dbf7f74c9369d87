// Flags that the lab commands share.
import {Flags} from '@oclif/core'
import {type DciKind, DEFAULT_LAB, type LabOptions, labOptions} from '../lab/options.ts'
import {decimal} from './flags.ts'

export const prefixFlag = (value: string = DEFAULT_LAB.prefix) =>
  Flags.string({
    default: value,
    helpValue: 'NAME',
    summary: 'starts the name of everything the lab makes; several labs can run side by side',
  })

export const labFlags = (prefix?: string) => ({
  prefix: prefixFlag(prefix),
  dci: Flags.option({
    default: DEFAULT_LAB.dci,
    options: ['vxlan', 'plain'] as const,
    summary: 'what joins the sites',
  })(),
  'dci-delay': decimal({
    default: DEFAULT_LAB.dciDelayMs,
    helpValue: 'MS',
    summary: 'one-way delay of the DCI',
  }),
  'wan-delay': decimal({
    default: DEFAULT_LAB.wanDelayMs,
    helpValue: 'MS',
    summary: "one-way delay between the sites' routers",
  }),
})

/** @throws Failure `usage` for what no lab can be. */
export const labOptionsOf = (flags: {
  prefix: string
  dci: DciKind
  'dci-delay': number
  'wan-delay': number
}): LabOptions =>
  labOptions({
    prefix: flags.prefix,
    dci: flags.dci,
    dciDelayMs: flags['dci-delay'],
    wanDelayMs: flags['wan-delay'],
  })
