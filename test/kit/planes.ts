import { after } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { ControlPlane, type AuditLine } from '../control-plane/control-plane.ts'

/** Everything that an installation leaves behind, by where it is; what only the control plane makes stays. */
const LEFT_BEHIND = [
  '/apis/carrel.dev/v1alpha1/namespaces/default/agentruntimes',
  '/apis/carrel.dev/v1alpha1/namespaces/default/agentsessions',
  '/api/v1/namespaces/default/pods',
  '/apis/apps/v1/namespaces/default/controllerrevisions',
  '/api/v1/namespaces/default/events',
  '/api/v1/namespaces/default/secrets',
  '/api/v1/namespaces/carrel-system/secrets',
  '/apis/coordination.k8s.io/v1/namespaces/carrel-system/leases',
  '/api/v1/nodes',
]

/**
 * Control planes of this test file. One installation has one at a time; afterwards it is emptied and given to the next,
 * because a start costs seconds.
 */
const idle: LentPlane[] = []
const all = new Set<LentPlane>()
after(() => Promise.all([...all].map((each) => each.plane.stop()))) // of the file: inside a test it would be the test's

export interface LentPlane {
  plane: ControlPlane
  /** Of this loan. */
  audit(): AuditLine[]
  giveBack(): Promise<void>
}

export async function lendPlane(): Promise<LentPlane> {
  const free = idle.pop()
  if (free) return free
  const plane = await ControlPlane.start()
  let seen = 0
  const lent: LentPlane = {
    plane,
    audit: () => plane.audit().slice(seen),
    async giveBack() {
      await emptied(plane)
      seen = plane.audit().length
      idle.push(lent)
    },
  }
  all.add(lent)
  return lent
}

async function emptied(plane: ControlPlane): Promise<void> {
  const transport = httpTransport(plane.access)
  const client = new KubeClient(transport)
  const sessions = { group: 'carrel.dev', version: 'v1alpha1', kind: 'AgentSession', plural: 'agentsessions', namespaced: true }
  for (const path of LEFT_BEHIND) {
    const { status, body } = await transport.request({
      method: 'DELETE',
      path,
      body: { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, propagationPolicy: 'Background' },
    })
    if (status !== 200) throw new Error(`${path} could not be emptied: ${JSON.stringify(body)}`)
    if (!path.endsWith('/agentsessions')) continue
    const { items } = await client.list(sessions, { namespace: 'default' })
    for (const { metadata } of items) {
      await client.mergePatch(sessions, 'default', metadata.name, { metadata: { finalizers: null } }).catch(() => {})
    }
  }
  await transport.close()
}
