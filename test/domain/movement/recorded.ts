// Lines of events: those that real programs wrote (recorded/), and documents made by what the platforms' sources say.
import {readFileSync} from 'node:fs'
import type {EventKind} from '../../../src/domain/movement/events.ts'

export const recorded = (name: string): string[] =>
  readFileSync(new URL(`recorded/${name}.txt`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')

/** A VM of KubeVirt; `state` as it is in `status.migrationState`. */
export const vmi = (state: object | undefined, name = 'web-07') => ({
  ...{apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance'},
  metadata: {name, namespace: 'tenant-a', uid: `uid-${name}`},
  status: {
    ...{phase: 'Running', nodeName: 'node-x'},
    interfaces: [{infoSource: 'domain', ipAddress: '10.0.0.10', mac: '02:00:00:00:00:10', name: 'default'}],
    ...(state && {migrationState: state}),
  },
})
export const MOVING = {
  ...{migrationUid: 'm1', sourceNode: 'node-x', targetNode: 'node-y', startTimestamp: '2026-12-01T08:59:30Z'},
}
export const READY = {...MOVING, targetNodeDomainDetected: true, targetNodeDomainReadyTimestamp: '2026-12-01T08:59:38Z'}

/** As `kubectl -o json` and govc lay documents out, in lines. */
export const laidOut = (value: object, indent = 4): string[] => JSON.stringify(value, undefined, indent).split('\n')

/** By govmomi's cli/events/command.go, and the words by vCenter's own `fullFormat`. */
export const GOVC = {
  ...{type: 'VmMigratedEvent', createdTime: '2026-12-01T08:59:38.817Z', category: 'info', key: 4711},
  message: 'Migration of virtual machine web-07 from esx-x.example, san-1 to esx-y.example, san-1 completed',
}
/** By the VI/JSON API (developer.broadcom.com, "VmMigratedEvent"). */
export const VI_EVENT = {
  ...{_typeName: 'VmMigratedEvent', key: 4711, createdTime: '2026-12-01T08:59:38.817Z'},
  vm: {_typeName: 'VmEventArgument', name: 'web-07', vm: {type: 'VirtualMachine', value: 'vm-42'}},
  host: {_typeName: 'HostEventArgument', name: 'esx-y.example'},
  sourceHost: {_typeName: 'HostEventArgument', name: 'esx-x.example'},
}

/** By Incus' shared/api/event.go. */
export const incus = (action: string, location: string) => ({
  ...{type: 'lifecycle', timestamp: '2026-12-01T08:59:38.817123456Z', location, project: 'default'},
  metadata: {action, source: '/1.0/instances/web-07', name: 'web-07', project: 'default'},
})

/** By nova's doc/notification_samples, in the envelope of oslo.messaging. */
export const nova = (event: string, host: string) => ({
  'oslo.version': '2.0',
  'oslo.message': JSON.stringify({
    ...{message_id: '5b6c', publisher_id: `nova-compute:${host}`, event_type: event, priority: 'INFO'},
    timestamp: '2026-12-01 08:59:38.817123',
    payload: {
      ...{'nova_object.name': 'InstanceActionPayload', 'nova_object.namespace': 'nova', 'nova_object.version': '1.9'},
      'nova_object.data': {
        ...{uuid: '178b0921-8f85-4257-88b6-2e743b5a975c', host: 'host2', display_name: 'some-server'},
        ip_addresses: [
          {'nova_object.data': {mac: '02:00:00:00:00:10', address: '10.0.0.10', device_name: 'tapce531f90-19'}},
          {'nova_object.data': {mac: '02:00:00:00:00:10', address: 'fd00::10', device_name: 'tapce531f90-19'}},
        ],
      },
    },
  }),
})
export const POST_DEST = 'instance.live_migration_post_dest.end'

/** Some of each, for whoever wants lines that are read. */
export const LINES: Readonly<Record<EventKind, readonly string[]>> = {
  libvirt: ['source', 'destination', 'aborted-destination', 'postcopy-destination'].flatMap((name) =>
    recorded(`libvirt-${name}`),
  ),
  kubevirt: [
    JSON.stringify(vmi(MOVING)),
    ...laidOut({type: 'MODIFIED', object: vmi(READY)}),
    JSON.stringify(vmi({...MOVING, migrationUid: 'm2', failed: true})),
  ],
  vcenter: [...laidOut(GOVC, 2), JSON.stringify(VI_EVENT)],
  incus: [incus('instance-migrated', 'x'), incus('instance-started', 'y')].map((each) => JSON.stringify(each)),
  nova: [JSON.stringify(nova(POST_DEST, 'host2'))],
  qmp: [...recorded('qmp-source'), ...recorded('qmp-cancelled-source')],
}
