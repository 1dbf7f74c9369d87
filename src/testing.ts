// What a strategy of a plugin can be tested in, without a network and without waiting: `import ... from 'gwswitch/testing'`.
export {type FakeGateway, segmentOf} from './testing/segment.ts'
export {type FakeVm, vmBehind} from './testing/vm.ts'
export {ethernetInterface, type FakeWorld, type FakeWorldOptions, fakeWorld} from './testing/world.ts'
