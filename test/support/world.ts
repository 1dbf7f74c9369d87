export * from '../../src/testing/world.ts'
