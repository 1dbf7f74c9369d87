import {spawnSync} from 'node:child_process'
import {join} from 'node:path'
import {expect, it} from 'vitest'
import {cleanMappings} from '../../../src/net/process/program-pages.ts'

const mapping = (head: string, anonymous: number): string =>
  `${head}\nSize: 2048 kB\nAnonymous:      ${anonymous} kB\nVmFlags: rd\n`

it('what is given up is what nobody has written to, of files alone', () => {
  const smaps = [
    mapping('00400000-00600000 r--p 00000000 fe:01 42     /usr/bin/node', 0),
    mapping('00600000-00900000 r-xp 00200000 fe:01 42     /usr/bin/node', 0),
    mapping('00900000-00b00000 r--p 00500000 fe:01 42     /usr/bin/node', 4),
    mapping('00b00000-00d00000 rw-p 00700000 fe:01 42     /usr/bin/node', 0),
    mapping('00d00000-00f00000 r--p 00000000 00:00 0 ', 0),
    mapping('00f00000-00f01000 r-xp 00000000 fe:01 43     /usr/lib/small.so', 0),
    mapping('7ffd00000000-7ffd00200000 r-xp 00000000 00:00 0     [vdso]', 0),
  ].join('')
  expect(cleanMappings(smaps).map(({from, to}) => [from, to])).toEqual([
    [0x400000n, 0x600000n],
    [0x600000n, 0x900000n],
  ])
})

it('and a process goes on without it', () => {
  const file = join(import.meta.dirname, '../../../src/net/process/program-pages.ts')
  const code = `import {releaseProgramPages} from ${JSON.stringify(file)}
    import {readFileSync} from 'node:fs'
    const kb = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))[1])
    const before = kb()
    releaseProgramPages()
    const after = kb()
    console.log(JSON.stringify({before, after, sum: [...'abc'].map((c) => c.charCodeAt(0)).reduce((a, b) => a + b)}))`
  const {stdout} = spawnSync(process.execPath, ['--input-type=module', '-e', code], {encoding: 'utf8'})
  const {before, after, sum} = JSON.parse(stdout) as Record<string, number>
  expect(sum).toBe(294)
  expect(after).toBeLessThan(before! - 10_000)
})
