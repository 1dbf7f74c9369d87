// Makes dist/, or the folder that is given: one entry per command, hook and program, what they share in chunks, oclif's
// core inside.
// Start-up is what a migration hook waits for, and most of it is Node looking for some two hundred small files.
import {join} from 'node:path'
import {rolldown} from 'rolldown'
import {buildId, COMMANDS, lean, PROGRAMS, root, sources} from './bundle-parts.mjs'

const files = sources([...COMMANDS, ...PROGRAMS, 'main.ts', 'index.ts', 'testing.ts'])
const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(files.map((file) => [file.replace(/\.ts$/, ''), join(root, 'src', file)])),
  platform: 'node',
  plugins: lean,
  transform: {define: {GWSWITCH_BUILD: JSON.stringify(buildId())}},
  // Native, or loaded only when somebody is asked, or when Nova is: they stay packages.
  external: [/^node:/, 'koffi', 'inquirer', 'amqplib'],
})
await bundle.write({
  dir: process.argv[2] ?? join(root, 'dist'),
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
})
