// The rows of `lab run`, in the order in which they are shown.
import type {RunRow} from '../row.ts'
import {SHARED_ROWS} from './shared.ts'

export const ROWS: readonly RunRow[] = [...SHARED_ROWS]
