import {availableParallelism} from 'node:os'
import {join} from 'node:path'
import {defineConfig} from 'vitest/config'
import {LongestFirst} from './test/support/longest-first.ts'

/** On real packets, in namespaces: they mostly wait, so several at a time, more than there are cores. */
const NETWORK = ['test/net/**/*.test.ts', 'test/lab/**/*.test.ts', 'test/peers/**/*.test.ts', 'test/e2e/**/*.test.ts']
/** What measures the CPU or a time, and would measure its neighbours too: one at a time, after all others. */
const SERIAL = [
  'test/lab/relay.test.ts',
  'test/net/packet/link.test.ts',
  // Hundreds of VMs at once want both cores, and their neighbours would be late.
  'test/peers/site-many.test.ts',
  'test/peers/switch-many.test.ts',
  'test/peers/switch-many-agent.test.ts',
]
/** Whose guest has to keep up with the network's clock: first of all, beside one worker of those that wait for nothing. */
const CLOCKED = ['test/e2e/agent-migration.test.ts']
const WORKERS = Math.max(4, 4 * availableParallelism())

export default defineConfig({
  test: {
    pool: 'forks',
    globalSetup: ['./test/support/built.ts', './test/support/scratch-journal.ts', './test/support/untouched.ts'],
    setupFiles: ['./test/support/own-journal.ts'],
    disableConsoleIntercept: true,
    reporters: ['default', './test/support/tally-reporter.ts'],
    // For the programs that tests start from the sources: Node keeps what it made of them.
    env: {NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/gwswitch-tests')},
    // On a machine that does other things too: what fails on real packets there is asked once more. Nowhere else.
    retry: process.env.GWSWITCH_CI ? 1 : 0,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: {sequencer: LongestFirst},
    projects: [
      {
        extends: true,
        test: {
          name: 'pure',
          include: ['test/**/*.test.ts'],
          exclude: NETWORK,
          isolate: false,
          maxWorkers: 2,
          sequence: {groupOrder: 0},
        },
      },
      {extends: true, test: {name: 'clocked', include: CLOCKED, maxWorkers: 2, sequence: {groupOrder: 0}}},
      {
        extends: true,
        test: {
          name: 'network',
          include: NETWORK,
          exclude: [...SERIAL, ...CLOCKED],
          isolate: false,
          maxWorkers: WORKERS,
          sequence: {groupOrder: 1},
        },
      },
      // Tests of a file that may be beside each other wait most of their time: two at once are enough for two cores.
      {extends: true, test: {name: 'serial', include: SERIAL, maxWorkers: 1, maxConcurrency: 2, sequence: {groupOrder: 2}}},
    ],
  },
})
