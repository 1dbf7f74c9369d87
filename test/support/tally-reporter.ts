import type {Reporter, TestModule} from 'vitest/node'

/** Ends the output with one line that people and CI read: `N passed, N failed, N skipped`. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = {passed: 0, failed: 0, skipped: 0}
    for (const module of modules) {
      let broken = module.state() === 'failed'
      for (const test of module.children.allTests()) {
        const {state} = test.result()
        if (state === 'pending') continue
        count[state]++
        if (state === 'failed') broken = false
      }
      // A file that could not even be loaded has no failed test to count.
      if (broken) count.failed++
    }
    // After the default reporter's own summary.
    process.once('exit', () =>
      process.stdout.write(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`),
    )
  }
}
