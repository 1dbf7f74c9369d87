// What the run in docs/evaluation/lab-run.json says of our strategies. Made by "npm run docs -- evaluation"; a test compares them.
// biome-ignore-all format: made by a script
import type {Measured} from '../domain/evaluation/measured.ts'

export const MEASURED: Readonly<Record<string, Measured>> = {}
