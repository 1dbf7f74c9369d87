#!/usr/bin/env node
// The same CLI straight from src/: commands are found by looking, no build and no manifest. Node strips the types.
import {readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {settings} from '@oclif/core'
import {execute} from '@oclif/core/execute'
import {sourceOf} from '../scripts/source-config.mjs'

settings.enableAutoTranspile = false
const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const pjson = sourceOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
// Not awaited: oclif never settles once `| head` has gone, and Node would then exit 13.
void execute({loadOptions: {root, ignoreManifest: true, pjson}})
