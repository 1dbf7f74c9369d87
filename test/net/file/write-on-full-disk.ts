// What the writers of files do on a disk with room for a part: write-on-full-disk WRITER DIRECTORY. A process of its own, in
// a mount namespace with a tiny file system. Says what they said, and what is there afterwards, in JSON.
import {readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {replaceFile} from '../../../src/net/file/replace-file.ts'
import {enroll, makeKey} from '../../../src/services/agent/enroll.ts'
import {writeDurably} from '../../../src/services/agent/kernel.ts'

const [writer = '', directory = ''] = process.argv.slice(2)
const file = join(directory, 'file')
const OLD = 'version: 1 # old\n'
/** More than the one page that is free. */
const LONG = `${'x'.repeat(6000)}\n`
const key = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
const gateways = Array.from({length: 600}, (_, i) => `10.0.${i >> 8}.${i & 255}`)
const none = {probes: [], dmiUuid: undefined, dryRun: false}

const WRITERS: Readonly<Record<string, () => unknown>> = {
  replaceFile: () => replaceFile(file, LONG),
  writeDurably: () => writeDurably(file, LONG),
  enroll: () => enroll({file, vm: 'web-07', kid: 'site-y', key, gateways, ...none}),
  keygen() {
    writeFileSync(join(directory, 'filler'), 'x'.repeat(4096))
    makeKey(join(directory, 'key'), false)
  },
}

writeFileSync(file, OLD)
let said = 'nothing'
let kind: unknown
try {
  WRITERS[writer]!()
} catch (error) {
  said = (error as Error).message
  kind = (error as {kind?: string}).kind
}
const there = Object.fromEntries(
  readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8').length]),
)
process.stdout.write(JSON.stringify({said, kind, there, old: readFileSync(file, 'utf8') === OLD}))
