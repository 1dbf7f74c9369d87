// A VM with two NICs on one segment, and switches that are each about one of them.
import {expect, it} from 'vitest'
import {memoryOf, orders} from './agent-in-memory.ts'
import {type FakeKernel, fakeKernel, inUse, mainRoute} from './fake-kernel.ts'

const {command, on} = orders()
const SPARE = '02:00:00:00:00:99'

function twoNics(): FakeKernel {
  const kernel = fakeKernel()
  const {links, addresses, neighbours} = kernel
  kernel.links = () => [...links(), {index: 9, name: 'eth9', mac: SPARE, up: true}]
  kernel.addresses = () => [...addresses(), {family: 4, interfaceIndex: 9, address: '10.0.0.99', length: 24}]
  kernel.neighbours = () => neighbours().flatMap((each) => [each, {...each, interfaceIndex: 9}])
  kernel.routes.push(mainRoute('10.0.0.1', 9, 500))
  return kernel
}
const spare = ({routes}: FakeKernel) => routes.find(({interfaceIndex, table}) => interfaceIndex === 9 && table === 254)

it('an overlay of one does not keep the other from being switched', async () => {
  const kernel = twoNics()
  const {ask} = await on(kernel)
  expect((await ask(command({mode: 'rule'}))).at(-1)).toMatchObject({state: 'confirmed'})
  expect((await ask(command({mode: 'replace', mac: SPARE}))).at(-1)).toMatchObject({
    state: 'confirmed',
    mode: 'replace',
  })
  expect(spare(kernel)).toMatchObject({gateway: '10.0.0.2', metric: 500})
  expect(inUse(kernel)).toBe('10.0.0.2')
})

it('a route of the NIC that changes while its gateway is tried still does', async () => {
  const kernel = twoNics()
  const {ask} = await on(kernel)
  const {echoAny} = kernel
  kernel.echoAny = async (targets, options) => {
    const answer = await echoAny(targets, options)
    if (options.mark !== undefined) {
      const route = spare(kernel)!
      kernel.routes.splice(kernel.routes.indexOf(route), 1, {...route, gateway: '10.0.0.3'})
    }
    return answer
  }
  expect((await ask(command({mode: 'replace', mac: SPARE}))).at(-1)).toMatchObject({
    state: 'refused',
    reason: 'from_gw',
  })
  expect(memoryOf(kernel).last).toMatchObject({phase: 'done', changes: []})
})
