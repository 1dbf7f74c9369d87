// Tests run the program as it is installed, from dist/. `npm test` builds that; whoever starts vitest by itself gets it too.
import {execFileSync} from 'node:child_process'
import {join} from 'node:path'
import {isBuilt, markBuilt} from '../../scripts/dist.mjs'

/** vitest's globalSetup. */
export default function built(): void {
  if (isBuilt()) return
  execFileSync(process.execPath, [join(import.meta.dirname, '../../scripts/bundle.mjs')], {stdio: 'inherit'})
  markBuilt()
}
