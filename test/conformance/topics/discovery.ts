/** Discovery, as old and new clients ask for it, for the kinds that both servers have. */
import assert from 'node:assert/strict'
import { SERVED_KINDS } from '../../../src/local/api/served-kinds.ts'
import { faceOf } from '../../../src/local/api/faces.ts'
import { conformance } from '../conformance.ts'
import { PATHS } from '../differences.ts'
import type { Loose } from '../wire.ts'

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
const GROUPS = [
  '',
  'events.k8s.io',
  'apps',
  'coordination.k8s.io',
  'apiextensions.k8s.io',
  'rbac.authorization.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'carrel.dev',
]

/** Names of resources and of subresources, as the embedded API has them. */
const SERVED = new Map(
  GROUPS.map((group) => [
    group,
    new Set(
      SERVED_KINDS.filter((kind) => kind.group === group).flatMap((kind) => [
        kind.plural,
        ...faceOf(kind).subresources.map(({ name }) => `${kind.plural}/${name}`),
      ]),
    ),
  ]),
)
/** A real server lets them be written. */
const isReadOnly = (name: string): boolean => name.startsWith('customresourcedefinitions')

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)

conformance('resources of each group and version', async (on) => {
  for (const group of GROUPS) {
    const version = group === 'carrel.dev' ? 'v1alpha1' : 'v1'
    const { status, headers, body } = await on.ask('GET', group === '' ? '/api/v1' : `/apis/${group}/${version}`)
    assert.equal(status, 200)
    const resources = (body.resources as Loose[])
      .filter(({ name }) => SERVED.get(group)!.has(name))
      .map(({ storageVersionHash: _hash, ...resource }) => resource)
    on.record(`list of ${group}`, {
      ...body,
      contentType: headers['content-type'],
      resources: resources.filter(({ name }) => !isReadOnly(name)).toSorted(byName),
    })
    for (const resource of resources.filter(({ name }) => name === 'customresourcedefinitions'))
      on.record(resource.name, resource, { differs: 'definitions-are-fixed', differsAt: ['verbs'] })
  }
})

conformance('groups', async (on) => {
  const core = await on.ask('GET', '/api')
  on.record('core', { ...core.body, serverAddressByClientCIDRs: Array.isArray(core.body.serverAddressByClientCIDRs) })
  const all = await on.ask('GET', '/apis')
  assert.equal(all.status, 200)
  on.record('groups', { ...all.body, groups: (all.body.groups as Loose[]).filter(({ name }) => GROUPS.includes(name)).toSorted(byName) })
  for (const group of GROUPS.filter((name) => name !== '')) await on.call('GET', `/apis/${group}`)
  await on.call('GET', '/apis/nobody.example', PATHS)
  await on.call('GET', '/apis/carrel.dev/v9', PATHS)
})

conformance('everything in one answer', async (on) => {
  for (const path of ['/api', '/apis']) {
    const { status, headers, body } = await on.ask('GET', path, { accept: AGGREGATED })
    assert.equal(status, 200)
    on.record(`content type of ${path}`, headers['content-type'])
    on.record(`kind of ${path}`, { kind: body.kind, apiVersion: body.apiVersion, metadata: body.metadata })
    const items = (body.items as Loose[]).filter(({ metadata: { name } }) => GROUPS.includes(name ?? ''))
    for (const { metadata, versions } of items.toSorted((a, b) => byName(a.metadata, b.metadata))) {
      const group: string = metadata.name ?? ''
      const served = SERVED.get(group)!
      const resources = (versions[0].resources as Loose[])
        .filter(({ resource }) => served.has(resource) && !isReadOnly(resource))
        .map(({ subresources, ...resource }) => {
          const known = ((subresources as Loose[]) ?? []).filter(({ subresource }) => served.has(`${resource.resource}/${subresource}`))
          return {
            ...resource,
            name: resource.resource,
            ...(known.length > 0 ? { subresources: known.toSorted((a, b) => (a.subresource < b.subresource ? -1 : 1)) } : {}),
          }
        })
      on.record(`group ${group}`, {
        name: group,
        version: versions[0].version,
        freshness: versions[0].freshness,
        resources: resources.toSorted(byName),
      })
    }
  }
})

conformance('the version has the form that clients read', async (on) => {
  const { status, headers, body } = await on.ask('GET', '/version')
  const { major, minor, gitVersion } = body
  on.record('version', { status, type: headers['content-type'], major, minor })
  assert.match(gitVersion, /^v1\.\d+\.\d+/)
  for (const key of ['gitCommit', 'gitTreeState', 'buildDate', 'goVersion', 'compiler', 'platform'])
    assert.equal(typeof body[key], 'string', key)
})
