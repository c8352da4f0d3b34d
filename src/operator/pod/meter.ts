import { AGENT_PORT, METER_CONTAINER } from '../../crds/agent-session.ts'
import { METER_PORT } from '../../metering/access.ts'
import { METER_COMMAND, METER_ENVIRONMENT } from '../../metering/sidecar/command.ts'
import { atMost } from '../../crds/quantity.ts'
import type { OperatorSettings } from '../settings.ts'
import { METER_KEY, meterSecretName } from './meter-secret.ts'
import { restricted, type Container } from './restricted.ts'

/** The user of Carrel's own image; the agent's is another by default. */
const USER = 65_532
const REQUESTS = { cpu: '20m', memory: '32Mi' }

/**
 * The meter beside the agent: an ordinary second container, as a native sidecar holds the agent's start back. The
 * key comes by the environment: a volume would cost the pod a poll of the kubelet, and stand in the agent's file system's reach.
 */
export function meterContainer(image: string, sessionUID: string, settings: OperatorSettings): Container {
  const { meterCpu: cpu, meterMemory: memory, meterEphemeralStorage: storage } = settings
  return {
    name: METER_CONTAINER,
    image,
    command: [...METER_COMMAND],
    env: [
      ...Object.entries(METER_ENVIRONMENT).map(([name, value]) => ({ name, value })),
      { name: 'CARREL_METER_KEY', valueFrom: { secretKeyRef: { name: meterSecretName(sessionUID), key: METER_KEY } } },
      { name: 'CARREL_METER_POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      { name: 'CARREL_METER_AGENT_PORT', value: String(AGENT_PORT) },
    ],
    ports: [{ containerPort: METER_PORT, name: 'meter' }],
    resources: {
      limits: { cpu, memory, 'ephemeral-storage': storage },
      requests: {
        cpu: String(atMost(REQUESTS.cpu, cpu)),
        memory: String(atMost(REQUESTS.memory, memory)),
        'ephemeral-storage': storage,
      },
    },
    securityContext: { ...restricted(USER, true), runAsGroup: USER },
    // It has said why on its last line; no tenant's words are in its log.
    terminationMessagePolicy: 'FallbackToLogsOnError',
  }
}
