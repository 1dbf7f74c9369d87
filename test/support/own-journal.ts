// vitest's setupFiles, before each file: what one file's switches leave half done is said to nobody else's.
import {randomUUID} from 'node:crypto'
import {dirname, join} from 'node:path'

const shared = process.env.GWSWITCH_JOURNAL
if (shared !== undefined) process.env.GWSWITCH_JOURNAL = join(dirname(shared), `${randomUUID()}.db`)
