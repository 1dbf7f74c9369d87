// One signal for two: whatever waits for an answer ends by the answer, or by whoever stops it.

/** Ends when it is disposed of. */
interface Either extends Disposable {
  readonly signal: AbortSignal
}

/**
 * Aborted when the first of `signals` is, with its reason, until it is disposed of. `AbortSignal.any` needs no end, but costs
 * 20 µs and weak references, which a switch of many VMs makes tens of thousands of.
 */
export function either(...signals: readonly (AbortSignal | undefined)[]): Either {
  const both = new AbortController()
  const of = signals.filter((each) => each !== undefined)
  const end = (): void => both.abort(of.find(({aborted}) => aborted)?.reason)
  for (const signal of of) signal.addEventListener('abort', end)
  if (of.some(({aborted}) => aborted)) end()
  return {
    signal: both.signal,
    [Symbol.dispose]() {
      for (const signal of of) signal.removeEventListener('abort', end)
    },
  }
}
