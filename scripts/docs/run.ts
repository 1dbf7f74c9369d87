// What is made of docs/. `npm run docs` makes the reference pages and the site (out/site), `npm run docs -- reference` the
// pages alone, `-- pictures` the pictures of docs/pictures, `-- check` looks at the site in a browser.
import {mkdirSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {referencePages, root} from './reference.ts'

function writeReference(): void {
  for (const [path, text] of referencePages()) {
    mkdirSync(dirname(join(root, path)), {recursive: true})
    writeFileSync(join(root, path), text)
  }
}

const TASKS: Readonly<Record<string, () => void | Promise<void>>> = {
  reference: writeReference,
}

const [name = 'all'] = process.argv.slice(2)
const task = TASKS[name]
if (task === undefined) {
  console.error(`no ${name}; there are ${Object.keys(TASKS).join(', ')}`)
  process.exit(2)
}
await task()
