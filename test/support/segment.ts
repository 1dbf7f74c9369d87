export * from '../../src/testing/segment.ts'
