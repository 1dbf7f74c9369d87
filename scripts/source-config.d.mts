import type {Interfaces} from '@oclif/core'
export function sourceOf(pjson: unknown): Interfaces.PJSON
