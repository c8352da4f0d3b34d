import type { ControllerRevision, KubeObject, Pod, Secret } from './objects.ts'

/** One kind as the API serves it. The type parameter is the shape of its objects; it exists at compile time only. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** '' for the core group. */
  group: string
  version: string
  kind: string
  plural: string
  namespaced: boolean
  /** Never set. */
  readonly _object?: T
}

export const PODS: Resource<Pod> = { group: '', version: 'v1', kind: 'Pod', plural: 'pods', namespaced: true }
export const SECRETS: Resource<Secret> = { group: '', version: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true }
export const CONTROLLER_REVISIONS: Resource<ControllerRevision> = {
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  namespaced: true,
}

export function apiVersionOf(resource: Resource): string {
  return resource.group ? `${resource.group}/${resource.version}` : resource.version
}

/** `/apis/carrel.dev/v1alpha1/namespaces/team/agentsessions/x/status`. Without a namespace: the whole cluster. */
export function pathOf(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  const leaf = name === undefined ? '' : `/${encodeURIComponent(name)}`
  const sub = subresource === undefined ? '' : `/${subresource}`
  return `${root}${scope}/${resource.plural}${leaf}${sub}`
}
