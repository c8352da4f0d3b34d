import { existsSync } from 'node:fs'
import { dirname } from 'node:path'

/** Folders of the node shown to pods: its programs are theirs, and no image of more than one program is needed. */
const OF_THE_NODE = ['/usr', '/bin', '/lib', '/lib64'].filter((path) => existsSync(path))
const PAUSE = 'docker.io/library/carrel-test-pause:latest'

interface ScriptPod {
  apiVersion: string
  kind: string
  metadata: { name: string; labels: Record<string, string> }
  spec: {
    volumes: { name: string; hostPath?: { path: string }; emptyDir?: object; persistentVolumeClaim?: { claimName: string } }[]
    containers: { volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[]; [field: string]: unknown }[]
    [field: string]: unknown
  }
}

/** A pod that runs a script by the Node of this process, with the node's libraries; `/scratch` is an empty folder. */
export function scriptPod(name: string, script: string, limits: Record<string, string> = {}): ScriptPod {
  const folders = [...OF_THE_NODE, dirname(process.execPath)]
  const mounts = folders.map((mountPath, index) => ({ name: `node-${index}`, mountPath, readOnly: true }))
  const volumes = folders.map((path, index) => ({ name: `node-${index}`, hostPath: { path } }))
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      volumes: [...volumes, { name: 'scratch', emptyDir: {} }],
      containers: [
        {
          name: 'script',
          image: PAUSE,
          imagePullPolicy: 'Never',
          command: [process.execPath, '-e', script],
          resources: { limits },
          volumeMounts: [...mounts, { name: 'scratch', mountPath: '/scratch' }],
        },
      ],
    },
  }
}

export interface PodStatus {
  phase?: string
  reason?: string
  message?: string
  podIP?: string
  conditions?: { type: string; status: string }[]
  containerStatuses?: {
    containerID?: string
    state: { waiting?: { reason: string; message?: string }; terminated?: { reason: string; exitCode: number } }
  }[]
}
