// What bin/run.js starts. Bundled together with the commands, so that oclif is loaded once and from few files.
export {start} from './cli/start.ts'
