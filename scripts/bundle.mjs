// Makes dist/, or the folder that is given: one entry per command, hook and program, what they share in chunks, oclif's
// core inside.
// Start-up is what a migration hook waits for, and most of it is Node looking for some two hundred small files.
import {createHash} from 'node:crypto'
import {globSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {rolldown} from 'rolldown'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
/** What runs as a process of its own ends in -main; the lab's sessions do too, by older names. */
const ENTRIES = [
  '{commands,hooks}/**/*.ts',
  'main.ts',
  'index.ts',
  'testing.ts',
  '**/*-main.ts',
  'lab/session-{client,server}.ts',
]
const files = globSync(ENTRIES, {cwd: join(root, 'src')})

/** Sorts commands by their names, which are ASCII; loading ICU's collation for that takes a third as long as Node's start. */
const withoutCollation = {
  name: 'without-collation',
  transform: {
    filter: {id: /@oclif[\\/]core[\\/]lib[\\/]/, code: /\.localeCompare\(/},
    handler: (code) => code.replaceAll(/([\w.]+)\.localeCompare\(([\w.]+)\)/g, '($1 < $2 ? -1 : $1 > $2 ? 1 : 0)'),
  },
}
/** Looks in files whether this is Windows' Linux, for nothing that gwswitch does. */
const notWindows = {
  name: 'not-windows',
  resolveId: {filter: {id: /^wsl-utils$/}, handler: (id) => ({id: `\0${id}`})},
  load: {
    filter: {id: /^\0wsl-utils$/},
    handler: () => 'export const isWsl = false, powerShellPath = () => "powershell"',
  },
}

/** Of all that the program is made of: what one program keeps, another one does not take. */
const sources = [...globSync('src/**/*.ts', {cwd: root}).sort(), 'package-lock.json']
const build = sources.reduce(
  (sum, name) => sum.update(`${name}\n`).update(readFileSync(join(root, name))),
  createHash('sha256'),
)

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(files.map((file) => [file.replace(/\.ts$/, ''), join(root, 'src', file)])),
  platform: 'node',
  plugins: [withoutCollation, notWindows],
  transform: {define: {GWSWITCH_BUILD: JSON.stringify(build.digest('hex'))}},
  // Native, or loaded only when somebody is asked, or when Nova is: they stay packages.
  external: [/^node:/, 'koffi', 'inquirer', 'amqplib'],
})
await bundle.write({
  dir: process.argv[2] ?? join(root, 'dist'),
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
})
