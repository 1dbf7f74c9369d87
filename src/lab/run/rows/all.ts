// The rows of `lab run`, in the order in which they are shown.
import type {RunRow} from '../row.ts'
import {AGENT_ROWS} from './agent.ts'
import {DHCP_ROWS} from './dhcp.ts'
import {PER_SITE_ROWS} from './per-site.ts'
import {SHARED_ROWS} from './shared.ts'

export const ROWS: readonly RunRow[] = [...SHARED_ROWS, ...PER_SITE_ROWS, ...AGENT_ROWS, ...DHCP_ROWS]
