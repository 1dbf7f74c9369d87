// Makes dist/, or the folder that is given: one entry per command, hook and program, what they share in chunks, oclif's
// core inside.
// Start-up is what a migration hook waits for, and most of it is Node looking for some two hundred small files.
import {globSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {rolldown} from 'rolldown'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
/** What runs as a process of its own ends in -main; the lab's sessions do too, by older names. */
const ENTRIES = ['{commands,hooks}/**/*.ts', 'main.ts', 'index.ts', '**/*-main.ts', 'lab/session-{client,server}.ts']
const files = globSync(ENTRIES, {cwd: join(root, 'src')})

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(files.map((file) => [file.replace(/\.ts$/, ''), join(root, 'src', file)])),
  platform: 'node',
  // Native, or loaded only when somebody is asked or a file is read: they stay packages.
  external: [/^node:/, 'koffi', 'inquirer', 'zod', 'yaml'],
})
await bundle.write({
  dir: process.argv[2] ?? join(root, 'dist'),
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
})
