import { writeFileSync } from 'node:fs'
import { AGENT_RUNTIMES } from '../../src/crds/agent-runtime.ts'
import { AGENT_SESSIONS } from '../../src/crds/agent-session.ts'
import { systemClock, systemRandom } from '../../src/env/system.ts'
import { serveApi } from '../../src/local/api/http/server.ts'
import { loopbackCertificate } from '../../src/local/api/http/certificate.ts'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import { requestInfo } from '../../src/local/api/request-info.ts'
import { failure } from '../../src/local/api/statuses.ts'

const k = (group: string, kind: string, plural: string, namespaced = true) => ({ group, version: 'v1', kind, plural, namespaced })
const kinds: any[] = [k('', 'Namespace', 'namespaces', false), k('', 'Pod', 'pods'), k('', 'Secret', 'secrets'), k('', 'ConfigMap', 'configmaps'), k('', 'ServiceAccount', 'serviceaccounts'), k('', 'Event', 'events'), k('', 'Node', 'nodes', false),
  k('events.k8s.io', 'Event', 'events'), k('apps', 'ControllerRevision', 'controllerrevisions'), k('coordination.k8s.io', 'Lease', 'leases'), k('apiextensions.k8s.io', 'CustomResourceDefinition', 'customresourcedefinitions', false), AGENT_RUNTIMES, AGENT_SESSIONS]
const store = new Map<string, any>()
let rv = 1
const merge = (a: any, b: any): any => { if (typeof b !== 'object' || b === null || Array.isArray(b)) return b; const r = { ...(typeof a === 'object' ? a : {}) }; for (const [x, y] of Object.entries(b)) { if (y === null) delete r[x]; else r[x] = merge(r[x], y) } return r }
const api = { async handle(c: any): Promise<any> {
  const { verb, object: o } = requestInfo(c.method, c.path, c.query)
  console.log(c.method, c.path, c.query.toString(), c.contentType ?? '', c.accept ?? '')
  const kind = kinds.find((x) => x.group === o?.group && x.plural === o?.resource)
  if (!kind || !o) return { status: 404, body: failure(404, 'NotFound', 'the server could not find the requested resource') }
  const key = (name: string) => `${o.group}/${o.resource}/${o.namespace ?? ''}/${name}`
  const apiVersion = kind.group ? `${kind.group}/${kind.version}` : kind.version
  const nf = { status: 404, body: failure(404, 'NotFound', `${o.resource} "${o.name}" not found`) }
  const list = () => [...store].filter(([x]) => x.startsWith(key(''))).map(([, v]) => v)
  if (verb === 'list') return { status: 200, body: { kind: `${kind.kind}List`, apiVersion, metadata: { resourceVersion: String(rv) }, items: list() } }
  if (verb === 'watch') return { status: 200, watch: (async function* () { for (const object of list()) yield { type: 'ADDED', object }; await new Promise((r) => c.signal.addEventListener('abort', r)) })() }
  if (verb === 'create') { const ob = c.body; ob.metadata = { ...ob.metadata, uid: 'u' + rv, resourceVersion: String(++rv), creationTimestamp: new Date(Date.now()).toISOString().slice(0, 19) + 'Z', ...(kind.namespaced ? { namespace: o.namespace } : {}) }; ob.kind = kind.kind; ob.apiVersion = apiVersion; store.set(key(ob.metadata.name), ob); return { status: 201, body: ob } }
  const had = store.get(key(o.name!)); if (!had) return nf
  if (verb === 'get') return { status: 200, body: had }
  if (verb === 'delete') { store.delete(key(o.name!)); return { status: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: {} } } }
  const next = verb === 'patch' ? merge(had, c.body) : c.body
  next.metadata.resourceVersion = String(++rv); store.set(key(o.name!), next); return { status: 200, body: next }
} }
const cert = loopbackCertificate(Date.now())
const server = await serveApi({ clock: systemClock, random: systemRandom, log: console }, { api, kinds, schemaOf: (kind: any) => kind.columns ? { type: 'object', properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } } : undefined, host: '127.0.0.1', port: 8999, certificate: cert, tokens: new Map([['sesame', { user: 'admin', groups: ['g'], allows: () => true }]]), audit: { write: (e) => console.log('AUDIT', e.verb, e.requestURI, e.responseStatus.code, JSON.stringify(e.objectRef)) }, notReady: () => undefined })
writeFileSync('/tmp/c2/kc', kubeconfigFor({ server: server.url, ca: cert.cert, token: 'sesame', user: 'admin', namespace: 'default' }))
process.on('SIGTERM', () => void server.close().then(() => process.exit(0)))
