import {readFileSync} from 'node:fs'
import {expect, it} from 'vitest'
import strategies from '../../src/hooks/strategies.ts'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

it('the README has a row for each strategy that comes with gwswitch, with its layer and what becomes of the gateway IP', async () => {
  const methods = readme.split('### The methods')[1]!.split('\n\n')[1]!
  const rows = [...methods.matchAll(/^\| `(\S+)` \|[^|]*\| (L[23]) \| (\w+) \|/gm)].map(([, ...row]) => row)
  const loaded = await Promise.all((await strategies()).map(({load}) => load()))
  const installed = loaded.map(({name, traits: {layer, gatewayIp}}) => [name, layer, gatewayIp])
  expect(rows.sort()).toEqual(installed.sort())
})
