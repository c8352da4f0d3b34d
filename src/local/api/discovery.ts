/**
 * Discovery: which kinds this server has. Aggregated (one answer for all, which kubectl asks for since 1.27) and
 * unaggregated (one answer for each group, for older clients), from the same faces.
 */
import { faceOf, groupVersions } from './faces.ts'
import type { FacedKind, Subresource } from './faces.ts'
import { isJson, parseAccept } from './http/media-types.ts'

export interface Discovered {
  body: object
  contentType: string
}

const AGGREGATED_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

/** The answer for `/api`, `/apis` and what is between them and the objects; undefined for any other path. */
export function discover(path: string, accept: string | undefined, kinds: readonly FacedKind[]): Discovered | undefined {
  const [root, group, version, ...rest] = path.replace(/\/$/, '').split('/').slice(1)
  if (rest.length > 0) return undefined
  if (root === 'api' && version === undefined) return group === undefined ? core(accept, kinds) : resources(kinds, '', group)
  if (root !== 'apis') return undefined
  if (group === undefined) return groups(accept, kinds)
  if (version !== undefined) return resources(kinds, group, version)
  const found = groupsOf(kinds).find(({ name }) => name === group)
  return found && json({ kind: 'APIGroup', apiVersion: 'v1', ...found })
}

function core(accept: string | undefined, kinds: readonly FacedKind[]): Discovered {
  if (wantsAggregated(accept)) return aggregated(kinds.filter(({ group }) => group === ''))
  return json({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] })
}

function groups(accept: string | undefined, kinds: readonly FacedKind[]): Discovered {
  const named = kinds.filter(({ group }) => group !== '')
  if (wantsAggregated(accept)) return aggregated(named)
  return json({ kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(named) })
}

function resources(kinds: readonly FacedKind[], group: string, version: string): Discovered | undefined {
  const found = groupVersions(kinds).find((of) => of.group === group && of.version === version)
  if (found === undefined) return undefined
  const groupVersion = group === '' ? version : `${group}/${version}`
  const apiVersion = group === '' ? {} : { apiVersion: 'v1' } // the oldest list says none
  return json({ kind: 'APIResourceList', ...apiVersion, groupVersion, resources: found.kinds.flatMap(resourceLines) })
}

function resourceLines(kind: FacedKind): object[] {
  const { singular, shortNames, categories, verbs, subresources } = faceOf(kind)
  const line = { name: kind.plural, singularName: singular, namespaced: kind.namespaced, kind: kind.kind, verbs }
  return [
    { ...line, ...(shortNames.length > 0 ? { shortNames } : {}), ...(categories.length > 0 ? { categories } : {}) },
    ...subresources.map((of) => ({
      name: `${kind.plural}/${of.name}`,
      singularName: '',
      namespaced: kind.namespaced,
      ...(of.group === undefined ? {} : { group: of.group, version: of.version }),
      kind: of.kind ?? kind.kind,
      verbs: of.verbs,
    })),
  ]
}

function groupsOf(kinds: readonly FacedKind[]): { name: string; versions: object[]; preferredVersion: object }[] {
  return groupVersions(kinds)
    .filter(({ group }) => group !== '')
    .map(({ group, version }) => {
      const preferredVersion = { groupVersion: `${group}/${version}`, version }
      return { name: group, versions: [preferredVersion], preferredVersion }
    })
}

/** Each group of this server has one version, so a group's item has one too. */
function aggregated(kinds: readonly FacedKind[]): Discovered {
  const items = groupVersions(kinds).map((of) => ({
    metadata: { name: of.group, creationTimestamp: null },
    versions: [{ version: of.version, resources: of.kinds.map(aggregatedResource), freshness: 'Current' }],
  }))
  const body = { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items }
  return { body, contentType: AGGREGATED_TYPE }
}

function aggregatedResource(kind: FacedKind): object {
  const { singular, shortNames, categories, verbs, subresources } = faceOf(kind)
  // Only custom resources name their group and version again.
  const { group, version } = kind.columns === undefined ? { group: '', version: '' } : kind
  const subresource = (of: Subresource): object => ({
    subresource: of.name,
    responseKind: { group: of.group ?? group, version: of.version ?? version, kind: of.kind ?? kind.kind },
    verbs: of.verbs,
  })
  return {
    resource: kind.plural,
    responseKind: { group, version, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(subresources.length > 0 ? { subresources: subresources.map(subresource) } : {}),
  }
}

/** The first range that can be answered decides: aggregated v2, or plain JSON. */
function wantsAggregated(accept: string | undefined): boolean {
  for (const range of parseAccept(accept).filter(isJson)) {
    const { as, g, v } = range.parameters
    if (as === undefined) return false
    if (as === 'APIGroupDiscoveryList' && g === 'apidiscovery.k8s.io' && v === 'v2') return true
  }
  return false
}

function json(body: object): Discovered {
  return { body, contentType: 'application/json' }
}
