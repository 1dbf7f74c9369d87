// Every target. One more is a row in one of these tables.
import type {Target} from '../target.ts'
import {AGENT} from './agent.ts'
import {EVENTS} from './events.ts'
import {LOOKERS} from './frames.ts'
import {JSON_TEXT} from './json.ts'
import {KERNEL} from './kernel.ts'
import {TEXT} from './text.ts'
import {WIRE} from './wire.ts'

export const TARGETS: readonly Target[] = [...WIRE, ...LOOKERS, ...AGENT, ...KERNEL, ...TEXT, ...JSON_TEXT, ...EVENTS]
