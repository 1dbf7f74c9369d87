export function sectionOf(changelog: string, version: string): string | undefined
export function obstacles(facts: {
  readonly version: string
  readonly manifestVersion: string
  readonly changelog: string
  /** Of `git status --porcelain`. */
  readonly status: string
  readonly tags: readonly string[]
}): string[]
