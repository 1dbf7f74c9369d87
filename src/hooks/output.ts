import {heedOutput} from '../cli/output.ts'

/** Before anything is printed, help and version included. */
export default async function output(): Promise<void> {
  heedOutput()
}
