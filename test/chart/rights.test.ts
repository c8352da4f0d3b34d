import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GRANTS, type Grant } from '../../src/local/api/identities.ts'
import { installed, type Installed } from './installed.ts'

interface Question {
  verb: string
  /** `group/resource` or `group/resource/subresource`, '' group for core. */
  on: string
  namespace: string
}

const NAMESPACES = ['carrel-system', 'agents', 'elsewhere']
const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']
/** Beside what is granted: what an attacker would like to have. */
const WANTED = [
  '/secrets',
  '/pods/exec',
  '/pods/ephemeralcontainers',
  '/pods/portforward',
  '/pods/log',
  '/pods/status',
  '/configmaps',
  '/serviceaccounts',
  '/serviceaccounts/token',
  '/nodes',
  '/nodes/proxy',
  '/namespaces',
  '/persistentvolumeclaims',
  'apps/deployments',
  'apps/controllerrevisions',
  'batch/jobs',
  'carrel.dev/agentruntimes',
  'carrel.dev/agentruntimes/invocations',
  'rbac.authorization.k8s.io/roles',
  'rbac.authorization.k8s.io/rolebindings',
  'rbac.authorization.k8s.io/clusterrolebindings',
  'admissionregistration.k8s.io/validatingadmissionpolicies',
]
const AT_ONCE = 24

async function allowed({ transport }: Installed, user: string, questions: Question[]): Promise<Question[]> {
  const answers: Question[] = []
  const left = [...questions]
  const ask = async (): Promise<void> => {
    for (let next = left.pop(); next; next = left.pop()) {
      const [group = '', resource = '', subresource = ''] = next.on.split('/')
      const { status, body } = await transport.request({
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user,
            groups: user.startsWith('system:serviceaccount:')
              ? ['system:serviceaccounts', 'system:authenticated']
              : ['system:authenticated'],
            resourceAttributes: { verb: next.verb, group, resource, subresource, namespace: next.namespace },
          },
        },
      })
      assert.equal(status, 201)
      if ((body as { status: { allowed: boolean } }).status.allowed) answers.push(next)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, ask))
  return answers
}

const shown = ({ verb, on, namespace }: Question): string => `${verb} ${on} in ${namespace}`
const everything = (resources: Iterable<string>): Question[] =>
  [...resources].flatMap((on) => VERBS.flatMap((verb) => NAMESPACES.map((namespace) => ({ verb, on, namespace }))))

/** Where a session namespace gives it, and no other. */
const IN_SESSION_NAMESPACES = [
  'create /pods',
  'delete /pods',
  'create /secrets',
  'create apps/controllerrevisions',
  'delete apps/controllerrevisions',
  'get /pods/log',
  'list events.k8s.io/events',
]

for (const part of ['operator', 'gateway'] as const) {
  const grants: readonly Grant[] = GRANTS[part]

  test(`the ${part} may do on a cluster what it needs on a laptop, where it needs it, and nothing else`, async (t) => {
    const here = await installed(t)
    if (!here) return
    const rights = grants.flatMap(({ verbs, on, namespace }) => verbs.flatMap((verb) => on.map((one) => ({ verb, on: one, namespace }))))
    const expected = new Set<string>()
    for (const { verb, on, namespace } of rights) {
      const own = namespace === 'carrel-system' || on === 'coordination.k8s.io/leases'
      const places = own ? ['carrel-system'] : IN_SESSION_NAMESPACES.includes(`${verb} ${on}`) ? ['agents'] : NAMESPACES
      for (const place of places) expected.add(shown({ verb, on, namespace: place }))
    }
    const resources = new Set([...WANTED, ...rights.map(({ on }) => on)])
    const may = await allowed(here, `system:serviceaccount:carrel-system:${part}`, everything(resources))
    assert.deepEqual(may.map(shown).toSorted(), [...expected].toSorted())
  })
}

test('the operator reads no Secret anywhere, the gateway none but in Carrel’s namespace; neither runs a command in a pod', async (t) => {
  const here = await installed(t)
  if (!here) return
  for (const part of ['operator', 'gateway']) {
    const may = await allowed(here, `system:serviceaccount:carrel-system:${part}`, everything(['/secrets', '/pods/exec', '/pods/attach']))
    const reads = may.filter(({ verb }) => verb !== 'create').map(shown)
    const own = ['get', 'list', 'watch'].map((verb) => `${verb} /secrets in carrel-system`)
    assert.deepEqual(reads.toSorted(), part === 'gateway' ? own : [])
  }
})

/** Who has one of Kubernetes' own roles in a namespace. */
const PEOPLE: [role: string, may: string[], mayNot: string[]][] = [
  [
    'view',
    ['list carrel.dev/agentruntimes', 'watch carrel.dev/agentsessions'],
    ['create carrel.dev/agentruntimes', 'create carrel.dev/agentruntimes/invocations'],
  ],
  [
    'edit',
    [
      'create carrel.dev/agentruntimes',
      'delete carrel.dev/agentruntimes',
      'get carrel.dev/agentsessions',
      'delete carrel.dev/agentsessions',
    ],
    [
      'create carrel.dev/agentruntimes/invocations',
      'create carrel.dev/agentsessions',
      'patch carrel.dev/agentsessions',
      'update carrel.dev/agentruntimes/status',
    ],
  ],
  [
    'admin',
    [
      'create carrel.dev/agentruntimes/invocations',
      'create carrel.dev/agentruntimes/stop',
      'create carrel.dev/agentruntimes/invocationsforuser',
    ],
    ['create carrel.dev/agentsessions', 'update carrel.dev/agentsessions/status'],
  ],
  [
    'carrel-invoker',
    ['create carrel.dev/agentruntimes/invocations', 'create carrel.dev/agentruntimes/stop'],
    ['create carrel.dev/agentruntimes/invocationsforuser', 'get carrel.dev/agentruntimes'],
  ],
  [
    'carrel-admin',
    ['create carrel.dev/agentruntimes', 'create carrel.dev/agentruntimes/invocations', 'list carrel.dev/agentsessions'],
    ['create carrel.dev/agentruntimes/invocationsforuser', 'create /pods'],
  ],
]

test('what Kubernetes’ own roles and Carrel’s give people', async (t) => {
  const here = await installed(t)
  if (!here) return
  const RBAC = 'rbac.authorization.k8s.io'
  const asked = (list: string[], namespace = 'agents'): Question[] =>
    list.map((text) => ({ verb: text.split(' ')[0]!, on: text.split(' ')[1]!, namespace }))
  for (const [role, may, mayNot] of PEOPLE) {
    const user = `has-${role}`
    const { status } = await here.transport.request({
      method: 'POST',
      path: `/apis/${RBAC}/v1/namespaces/agents/rolebindings`,
      body: {
        apiVersion: `${RBAC}/v1`,
        kind: 'RoleBinding',
        metadata: { name: user },
        subjects: [{ apiGroup: RBAC, kind: 'User', name: user }],
        roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: role },
      },
    })
    assert.equal(status, 201)
    await until(async () => (await allowed(here, user, asked(may))).length === may.length, `${role} gives ${may.join(', ')}`)
    assert.deepEqual(await allowed(here, user, asked(mayNot)), [], role)
    assert.deepEqual(await allowed(here, user, asked(may, 'elsewhere')), [], `${role}, elsewhere`)
  }
})

test('first-caller, whom nobody is before a key is made, may call in the session namespaces and nowhere else', async (t) => {
  const here = await installed(t)
  if (!here) return
  const may = await allowed(here, 'first-caller', everything(['carrel.dev/agentruntimes/invocations', 'carrel.dev/agentruntimes', '/pods']))
  assert.deepEqual(may.map(shown), ['create carrel.dev/agentruntimes/invocations in agents'])
})

async function until(condition: () => Promise<boolean>, because: string): Promise<void> {
  const { eventually } = await import('../kit/eventually.ts')
  await eventually(condition, { withinMs: 20_000, because })
}
