/** Pods as traces use them: on a node, where they end gracefully, and on none. No kubelet plays with them. */
import type { TraceKind } from './kinds.ts'

const container = { name: 'agent', image: 'carrel.test/agent:1' }
const pod = { automountServiceAccountToken: false, containers: [container] }

export const pods: TraceKind = {
  root: '/api/v1',
  apiVersion: 'v1',
  kind: 'Pod',
  plural: 'pods',
  hasStatus: true,
  objects: [
    { spec: pod },
    { spec: { ...pod, nodeName: 'nowhere' } },
    { spec: { ...pod, nodeName: 'nowhere', terminationGracePeriodSeconds: 5, restartPolicy: 'Never' }, status: { phase: 'Running' } },
    {
      spec: {
        ...pod,
        containers: [
          { ...container, env: [{ name: 'A', value: '1' }] },
          { name: 'second', image: 'carrel.test/b:2' },
        ],
      },
    },
    { spec: { ...pod, containers: [] } },
    { spec: { ...pod, containers: [container, container] } },
  ],
  changes: [
    { spec: { containers: [{ ...container, image: 'carrel.test/agent:2' }] } },
    { spec: { activeDeadlineSeconds: 100 } },
    { spec: { activeDeadlineSeconds: 50 } },
    { spec: { restartPolicy: 'OnFailure' } },
    { spec: { terminationGracePeriodSeconds: 9 } },
    { spec: { nodeName: 'elsewhere' } },
    { spec: { containers: [] } },
    { spec: { containers: null } },
    { spec: { containers: 'garbage' } },
    { status: { phase: 'Running' } },
  ],
  statusChanges: [
    { status: { phase: 'Running', podIP: '10.0.0.1' } },
    { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
    { status: { phase: 'Succeeded' } },
    { status: { phase: 'Failed', reason: 'Evicted' }, spec: { activeDeadlineSeconds: 3 } },
    { status: { phase: 7 } },
  ],
  jsonPatches: [
    [{ op: 'replace', path: '/spec/containers/0/image', value: 'carrel.test/agent:3' }],
    [{ op: 'add', path: '/spec/activeDeadlineSeconds', value: 70 }],
    [{ op: 'remove', path: '/spec/containers/0' }],
  ],
  strategicPatches: [
    { spec: { containers: [{ name: 'agent', image: 'carrel.test/agent:4' }] } },
    { spec: { containers: [{ name: 'new', image: 'carrel.test/new:1' }] } },
    { spec: { containers: [{ name: 'agent', $patch: 'delete' }] } },
    { spec: { containers: [{ image: 'carrel.test/no-name' }] } },
    { spec: { activeDeadlineSeconds: 60 } },
  ],
}
