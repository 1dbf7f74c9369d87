// Makes one executable of gwswitch and the Node that runs this (nodejs.org, "Single executable applications"):
//
//   node scripts/executable.mjs FILE [FOLDER-FOR-PARTS]
//
// oclif and the commands that hooks wait for are loaded when it is built, and lie in it as V8 left them. What asks the terminal or the environment when it is loaded is loaded when the executable runs.
import {execFileSync} from 'node:child_process'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {rolldown} from 'rolldown'
import {buildId, COMMANDS, lean, PROGRAMS, replacing, root, sources} from './bundle-parts.mjs'

const read = (name) => JSON.parse(readFileSync(join(root, name), 'utf8'))

/** Modules by the names that oclif and `programCommand` have for them; those of programs run when they are loaded. */
function table(patterns, name) {
  return sources(patterns).map(
    (file) =>
      `${JSON.stringify(name(file.replace(/\.ts$/, '')))}: () => import(${JSON.stringify(join(root, 'src', file))}),`,
  )
}

/** What migration hooks wait for is loaded beforehand; of the rest every start would pay for what it does not use. */
const beforehand = () =>
  sources([
    'cli/{base-command,flags,start,output}.ts',
    'hooks/*.ts',
    'commands/{garp,guard,switch}.ts',
    'orders/garp/{run-garp,garp-report}.ts',
    'net/system-world.ts',
  ])

const parts = {
  'gwswitch:parts': () => `
    import * as index from ${JSON.stringify(join(root, 'src/index.ts'))}
    export {index}
    export const packageJson = ${JSON.stringify(read('package.json'))}
    export const manifest = ${JSON.stringify(read('oclif.manifest.json'))}
    export const commands = {${table(COMMANDS, (file) => `dist/${file}.js`).join('\n')}}
    export const programs = {${table(PROGRAMS, (file) => file).join('\n')}}
    export const beforehand = () => Promise.all([${beforehand()
      .map((file) => `import(${JSON.stringify(join(root, 'src', file))})`)
      .join(',')}])`,
}
const ownParts = {
  name: 'own-parts',
  resolveId: {filter: {id: /^gwswitch:parts$/}, handler: (id) => ({id: `\0${id}`})},
  load: {filter: {id: /^\0gwswitch:parts$/}, handler: (id) => parts[id.slice(1)]()},
}

/** Modules of Node that V8 cannot take into a snapshot, since C++ holds on to what they make. */
const AT_RUN_OF_NODE = ['crypto', 'sqlite', 'dgram', 'tls', 'worker_threads', 'dns/promises']
const nodeModules = {
  name: 'node-modules',
  resolveId: {filter: {id: /^node:/}, handler: (id) => ({id: `\0${id}.cjs`})},
  load: {
    filter: {id: /^\0node:/},
    handler(id) {
      const name = id.slice(1, -4)
      const get = `process.getBuiltinModule(${JSON.stringify(name)})`
      if (!AT_RUN_OF_NODE.includes(name.slice(5))) return `module.exports = ${get}`
      const members = Object.keys(process.getBuiltinModule(name))
      return `module.exports = {${members.map((member) => `get ${member}() { return ${get}.${member} }`).join(', ')}}`
    },
  },
}

/** What asks for terminals, colours and widths when it is loaded. */
const AT_RUN = [
  /[\\/]supports-color[\\/]index\.js$/,
  /[\\/]ansis[\\/]index\.m?js$/,
  /[\\/]core[\\/]lib[\\/]screen\.js$/,
]
const atRun = {
  name: 'at-run',
  load: {
    filter: {id: AT_RUN},
    handler(id) {
      const text = readFileSync(id.replace(/index\.mjs$/, 'index.js'), 'utf8')
      return {
        code: `let made
          const load = () => { if (made) return made; const module = {exports: {}}; ((module, exports) => {${text}
          })(module, module.exports); return (made = module.exports) }
          module.exports = new Proxy({}, {
            get: (_, name) => name === '__esModule' ? ${text.includes('"__esModule"')} : load()[name],
            has: (_, name) => name in load(),
          })`,
        moduleType: 'js',
      }
    },
  },
}

const oclif = (file) =>
  new RegExp(`@oclif[\\\\/]core[\\\\/]lib[\\\\/]${file.replace('/', '[\\\\/]').replace('.', '\\.')}$`)
/** oclif finds our modules and our manifest in the executable; those of plugins lie in files, which require() loads. */
const fromExecutable = [
  replacing('own-modules', oclif('module-loader.js'), [
    [
      'isESM ? await import((0, node_url_1.pathToFileURL)(filePath).href) : require(filePath)',
      'await require("gwswitch:executable").loadModule(filePath)',
    ],
    [
      '({ filePath, isESM } = await resolvePath(config, modulePath));',
      '({ filePath, isESM } = require("gwswitch:executable").isOwn(modulePath) ? { filePath: modulePath, isESM: true } : await resolvePath(config, modulePath));',
    ],
    ['require.resolve(modulePath)', 'require("gwswitch:executable").resolveModule(modulePath)'],
  ]),
  replacing('own-manifest', oclif('util/fs.js'), [
    [
      'if (useCache && cache.has(path))',
      'const own = require("gwswitch:executable").ownJson(path); if (own) return own;\n    if (useCache && cache.has(path))',
    ],
  ]),
  replacing('no-spinner', oclif('ux/index.js'), [['Boolean(process.stderr.isTTY)', 'false']]),
  // As Node's own modules: C++ holds on to it.
  replacing('segmenter-at-run', join(root, 'node_modules/string-width/index.js'), [
    ['const segmenter = new Intl.Segmenter();', 'let segmenter;'],
    ['of segmenter.segment(', 'of (segmenter ??= new Intl.Segmenter()).segment('],
  ]),
  {
    name: 'executable',
    resolveId: {filter: {id: /^gwswitch:executable$/}, handler: () => ({id: join(root, 'src/cli/in-executable.ts')})},
  },
]

const [target, folder = join(dirname(target), 'parts')] = process.argv.slice(2)
mkdirSync(folder, {recursive: true})
const bundle = await rolldown({
  cwd: root,
  input: {gwswitch: join(root, 'src/executable.ts')},
  platform: 'node',
  plugins: [ownParts, nodeModules, atRun, ...fromExecutable, ...lean],
  transform: {define: {GWSWITCH_BUILD: JSON.stringify(buildId()), GWSWITCH_EXECUTABLE: 'true'}},
})
/** Without its layout, and with its names: traces stay readable. */
const minify = {compress: false, mangle: false, codegen: true}
await bundle.write({dir: folder, format: 'cjs', entryFileNames: '[name].cjs', codeSplitting: false, minify})
const config = join(folder, 'sea.json')
writeFileSync(
  config,
  JSON.stringify({
    main: join(folder, 'gwswitch.cjs'),
    output: target,
    disableExperimentalSEAWarning: true,
    useSnapshot: true,
    execArgvExtension: 'cli',
  }),
)
// Nothing of whoever builds it is in it.
const env = {HOME: '/nonexistent', SHELL: '/bin/sh', PATH: process.env.PATH}
execFileSync(process.execPath, ['--no-warnings', '--build-sea', config], {env, stdio: ['ignore', 'ignore', 'inherit']})
