import { AGENT_CONTAINER, AGENT_PORT } from '../../crds/agent-session.ts'
import { atMost } from '../../crds/quantity.ts'
import { DEFAULT_REQUESTS, type Resources } from '../../crds/resources.ts'
import type { VersionedSpec } from '../runtime/version.ts'
import { restricted, type Container } from './restricted.ts'
import { mountsOf } from './volumes.ts'

/** The agent's container on a cluster. */
export function agentContainer(version: VersionedSpec, image: string, region: string): Container {
  const { container } = version.artifact
  const { runAsUser, runAsGroup, readOnlyRootFilesystem } = version.securityContext
  const mounts = mountsOf(version.volumes ?? [])
  return {
    name: AGENT_CONTAINER,
    image,
    ...(container?.imagePullPolicy ? { imagePullPolicy: container.imagePullPolicy } : {}),
    ...(container?.command ? { command: container.command } : {}),
    ...(container?.args ? { args: container.args } : {}),
    env: environmentOf(version, region),
    ports: [{ containerPort: AGENT_PORT, name: 'http' }],
    resources: resourcesOf(version.resources),
    securityContext: { ...restricted(runAsUser, readOnlyRootFilesystem), ...(runAsGroup === undefined ? {} : { runAsGroup }) },
    ...(mounts.length > 0 ? { volumeMounts: mounts } : {}),
  }
}

/** Contract 1.6. What the user sets wins. */
export function environmentOf({ environment = [] }: Pick<VersionedSpec, 'environment'>, region: string): NonNullable<Container['env']> {
  const injected = { DOCKER_CONTAINER: '1', AWS_REGION: region, AWS_DEFAULT_REGION: region }
  const variables = new Map<string, NonNullable<Container['env']>[number]>()
  for (const [name, value] of Object.entries(injected)) variables.set(name, { name, value })
  for (const { name, value, valueFrom } of environment) variables.set(name, valueFrom ? { name, valueFrom } : { name, value: value ?? '' })
  return [...variables.values()]
}

/** Where nothing is requested, Kubernetes would set the whole limit aside. */
function resourcesOf({ limits, requests = {} }: Resources): NonNullable<Container['resources']> {
  const entries = (['cpu', 'memory', 'ephemeral-storage'] as const).map((name) => {
    const limit = limits[name]
    return [name, { limit: String(limit), request: String(requests[name] ?? atMost(DEFAULT_REQUESTS[name], limit)) }] as const
  })
  return {
    limits: Object.fromEntries(entries.map(([name, { limit }]) => [name, limit])),
    requests: Object.fromEntries(entries.map(([name, { request }]) => [name, request])),
  }
}
