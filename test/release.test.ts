// What keeps a release from being made.
import {describe, expect, it} from 'vitest'
import {obstacles, sectionOf} from '../scripts/release.mjs'

const CHANGELOG = `# Changelog

## [Unreleased]

## [1.2.0] - 2026-03-04

### Added
- a thing

## [1.1.0] - 2026-01-02

- another
`
const ready = {version: '1.2.0', manifestVersion: '1.2.0', changelog: CHANGELOG, status: '', tags: ['v1.1.0']}

it('reads what the changelog says of one version', () => {
  expect(sectionOf(CHANGELOG, '1.2.0')).toBe('### Added\n- a thing')
  expect(sectionOf(CHANGELOG, '1.1.0')).toBe('- another')
  expect(sectionOf(CHANGELOG, 'Unreleased')).toBe('')
  expect(sectionOf(CHANGELOG, '1.2')).toBeUndefined()
})

describe('a release', () => {
  it('is ready where nothing is in the way', () => {
    expect(obstacles(ready)).toEqual([])
  })

  it.each<[string, Partial<typeof ready>, RegExp]>([
    ['the tree is not clean', {status: ' M a\n?? b'}, /not committed: 2 files/],
    ['it is tagged', {tags: ['v1.1.0', 'v1.2.0']}, /v1\.2\.0 is tagged already/],
    ['the manifest is of another version', {manifestVersion: '1.1.0'}, /oclif\.manifest\.json is of 1\.1\.0/],
    ['the changelog does not know it', {version: '1.3.0', manifestVersion: '1.3.0'}, /no section \[1\.3\.0\]/],
    ['its section is empty', {changelog: CHANGELOG.replace('### Added\n- a thing\n', '')}, /says nothing of 1\.2\.0/],
    [
      'its section has no date',
      {changelog: CHANGELOG.replace(' - 2026-03-04', '')},
      /want "## \[1\.2\.0\] - YYYY-MM-DD"/,
    ],
    ['something is unreleased', {changelog: CHANGELOG.replace('## [1.2', '- new\n\n## [1.2')}, /\[Unreleased\] is/],
    [
      'there is no room for the next',
      {changelog: CHANGELOG.replace('## [Unreleased]\n', '')},
      /\[Unreleased\] is missing/,
    ],
  ])('is not made where %s', (_what, over, line) => {
    expect(obstacles({...ready, ...over})).toEqual([expect.stringMatching(line)])
  })
})
