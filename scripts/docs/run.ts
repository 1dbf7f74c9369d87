// What is made of docs/. `npm run docs` makes the reference pages and the site (out/site), `npm run docs -- reference` the
// pages alone, `-- evaluation` what is made of the run that is checked in, `-- pictures` the pictures of docs/pictures, `-- check` looks at the site in a browser.
import {mkdirSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {checkReport, checkSite} from './check-site.ts'
import {checkedIn} from './evaluation.ts'
import {makePictures} from './pictures.ts'
import {referencePages, root} from './reference.ts'
import {makeSite} from './site.ts'

function write(files: ReadonlyMap<string, string>): void {
  for (const [path, text] of files) {
    mkdirSync(dirname(join(root, path)), {recursive: true})
    writeFileSync(join(root, path), text)
  }
}

const TASKS: Readonly<Record<string, () => void | Promise<void>>> = {
  all: async () => {
    write(referencePages())
    write(await checkedIn())
    await makeSite()
  },
  reference: () => write(referencePages()),
  evaluation: async () => write(await checkedIn()),
  pictures: makePictures,
  check: async () => {
    await makeSite()
    const wrong = [...(await checkSite()), ...(await checkReport())]
    for (const line of wrong) console.error(line)
    if (wrong.length > 0) process.exit(1)
    console.log(
      'every page, link and anchor of out/site is there, and the report of a run is as it should be, at both widths',
    )
  },
}

const [name = 'all'] = process.argv.slice(2)
const task = TASKS[name]
if (task === undefined) {
  console.error(`no ${name}; there are ${Object.keys(TASKS).join(', ')}`)
  process.exit(2)
}
await task()
