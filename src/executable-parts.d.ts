/** Made by scripts/executable.mjs: what lies in the executable. */
declare module 'gwswitch:parts' {
  type Modules = Readonly<Record<string, () => Promise<unknown>>>
  export const index: object
  export const packageJson: import('@oclif/core/interfaces').PJSON
  export const manifest: object
  /** By their paths in dist/. */
  export const commands: Modules
  /** By their names, `lab/relay-main`. Each runs when it is loaded. */
  export const programs: Modules
  export function beforehand(): Promise<unknown>
}
