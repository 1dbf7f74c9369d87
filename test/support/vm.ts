export * from '../../src/testing/vm.ts'
