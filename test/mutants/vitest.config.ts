import {defineConfig} from 'vitest/config'

// For the copies in which mutants are tried: any test, no look at the machine around it, and an end at the first failure.
export default defineConfig({
  root: process.cwd(),
  cacheDir: '.vite',
  test: {include: ['test/**/*.test.ts'], pool: 'forks', bail: 1, testTimeout: 20_000},
})
