import {defineConfig} from 'vitest/config'

// Two runs: what is pure goes in parallel; what builds namespaces and times packets goes alone, one file at a time.
const NETWORK = ['test/net/**/*.test.ts', 'test/lab/**/*.test.ts', 'test/peers/**/*.test.ts', 'test/e2e/**/*.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    globalSetup: './test/support/untouched.ts',
    disableConsoleIntercept: true,
    reporters: ['default', './test/support/tally-reporter.ts'],
    projects: [
      {extends: true, test: {name: 'pure', include: ['test/**/*.test.ts'], exclude: NETWORK, sequence: {groupOrder: 0}}},
      {
        extends: true,
        test: {
          name: 'network',
          include: NETWORK,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: {groupOrder: 1},
        },
      },
    ],
  },
})
