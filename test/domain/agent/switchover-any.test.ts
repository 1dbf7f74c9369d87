// Whatever happens to a switchover, in whatever order, at whatever time, and whatever the owner of the route does meanwhile: the
// disk knows of everything before it is done, turns never mingle, nothing is confirmed that is not so, and in the end the VM
// has a default route, the owner's or a proved one, and takes the next command.
import fc from 'fast-check'
import {expect, it} from 'vitest'
import {AnyVm, type End, happening} from './any-vm.ts'
import {switchTask} from './switching-guest.ts'

it('leaves the VM on the old gateway or a proved one, and takes the next command', () => {
  fc.assert(
    fc.property(fc.array(happening, {maxLength: 60, size: 'max'}), (all) => {
      const vm = new AnyVm()
      for (const each of all) vm.happen(each)
      vm.settle()
      const {guest} = vm
      const {record} = guest.state
      expect(record?.phase ?? 'done').toBe('done')
      expect(vm.inUse).toBeDefined()
      // What is said to be in force is, and is what was proved; else the owner's own route is in use.
      const [standing] = record?.standing ?? []
      if (standing?.state === 'in_force') {
        expect(vm.inUse).toBe(standing.change.to)
        expect(vm.everProved).toContain(vm.inUse)
      }
      if (vm.overlay !== undefined) expect(standing).toMatchObject({state: 'in_force'})
      if (record?.state === 'rolled_back') expect(standing?.run).not.toBe(record.run)
      // Nothing is left to wait for, and every task had its turn.
      expect(guest.state.tasks).toEqual([])
      expect(vm.over).toBeGreaterThanOrEqual(vm.ordered)
      const {main, overlay} = vm
      const task = switchTask(10_000, {to: '10.0.0.9', mode: 'rule', main: main!, overlay})
      expect(guest.task(task)).toEqual(['save probing received', 'leave', 'try'])
      vm.finish()
      expect(guest.disk).toMatchObject({phase: 'done', state: 'confirmed'})
      expect(vm.inUse).toBe('10.0.0.9')
    }),
    {numRuns: Number(process.env.RUNS ?? 500)},
  )
})

it.each<End>(['badly', 'throws'])('takes commands also where undoing always ends %s', (end) => {
  const vm = new AnyVm()
  vm.happen({kind: 'switch', confirm_s: 20, mode: 'rule', to: '10.0.0.2'})
  vm.finish()
  vm.happen({kind: 'rollback'})
  vm.end(end)
  // Nobody waits: neither for another attempt, nor for the end of all attempts.
  expect(vm.guest.task(switchTask(10_000))).toEqual(['save probing received', 'leave', 'try'])
  vm.end('badly')
  for (let i = 0; i < 60; i++) {
    vm.guest.wait(5)
    vm.end(end)
  }
  expect(vm.guest.state.record).toMatchObject({phase: 'done'})
})
