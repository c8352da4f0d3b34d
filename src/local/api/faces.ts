import type { Column } from '../../crds/define-kind.ts'
import type { Resource } from '../../kube/resource.ts'

/** A served kind as discovery needs it: a `Resource`, with what Carrel's own kinds say about themselves. */
export type FacedKind = Resource & {
  /** Answered by a POST, and never stored. */
  isReview?: boolean
  singular?: string
  shortNames?: readonly string[]
  columns?: readonly Column[]
}

/** What discovery tells of a kind beside its names. */
export interface Face {
  singular: string
  shortNames: readonly string[]
  categories: readonly string[]
  verbs: readonly string[]
  subresources: readonly Subresource[]
}

export interface Subresource {
  name: string
  /** Kind of its body, where that is not the resource's own. */
  kind?: string
  /** Of another group than its resource. */
  group?: string
  version?: string
  verbs: readonly string[]
}

const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
/** In the real server's order, which is not that of the alphabet. */
const OWN_VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch']
const STATUS: Subresource = { name: 'status', verbs: ['get', 'patch', 'update'] }

const BUILT_IN: Record<string, Partial<Face>> = {
  pods: {
    shortNames: ['po'],
    categories: ['all'],
    subresources: [STATUS, { name: 'log', verbs: ['get'] }, { name: 'binding', kind: 'Binding', verbs: ['create'] }],
  },
  namespaces: { shortNames: ['ns'], verbs: ALL_VERBS.filter((verb) => verb !== 'deletecollection'), subresources: [STATUS] },
  nodes: { shortNames: ['no'], subresources: [STATUS] },
  configmaps: { shortNames: ['cm'] },
  serviceaccounts: {
    shortNames: ['sa'],
    subresources: [{ name: 'token', kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] }],
  },
  events: { shortNames: ['ev'] },
  'events.events.k8s.io': { shortNames: ['ev'] },
  'customresourcedefinitions.apiextensions.k8s.io': {
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    verbs: ['get', 'list', 'watch'],
  },
}

/** Carrel's kinds are those that bring printer columns: category `carrel`, with a status. */
export function faceOf(kind: FacedKind): Face {
  const own: Partial<Face> = kind.columns === undefined ? {} : { categories: ['carrel'], verbs: OWN_VERBS, subresources: [STATUS] }
  return {
    singular: kind.singular ?? kind.kind.toLowerCase(),
    shortNames: kind.shortNames ?? [],
    categories: [],
    verbs: kind.isReview ? ['create'] : ALL_VERBS,
    subresources: [],
    ...own,
    ...BUILT_IN[kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`],
  }
}

/** Kinds by group and version, in the order in which each was first named. */
export function groupVersions<K extends FacedKind>(kinds: readonly K[]): { group: string; version: string; kinds: K[] }[] {
  const found: { group: string; version: string; kinds: K[] }[] = []
  for (const kind of kinds) {
    const of = found.find(({ group, version }) => group === kind.group && version === kind.version)
    if (of === undefined) found.push({ group: kind.group, version: kind.version, kinds: [kind] })
    else of.kinds.push(kind)
  }
  return found
}
