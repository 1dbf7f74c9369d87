// What bin/run.js starts. Bundled together with the commands, so that oclif is loaded once and from few files.
import {type Start, start as startBy} from './cli/start.ts'
import {provideSelf} from './net/file/plugin-folder.ts'

/** As {@link startBy}; plugins share what runs here. */
export const start = (how: Omit<Start, 'provideSelf'>): Promise<void> =>
  startBy({...how, provideSelf: () => provideSelf(new URL('.', import.meta.url))})
