#!/usr/bin/env node
// The same CLI straight from src/: commands are found by looking, no build and no manifest. Node strips the types.
import {readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {settings} from '@oclif/core'
import {sourceOf} from '../scripts/source-config.mjs'
import {start} from '../src/main.ts'

settings.enableAutoTranspile = false
const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const pjson = sourceOf(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')))
void start({root, pjson, ignoreManifest: true})
