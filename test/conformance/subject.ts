/** What the suite runs on: the embedded API behind its own HTTPS server, and a real kube-apiserver with its controllers. */
import { after } from 'node:test'
import type { Identity } from '../../src/local/api/call.ts'
import { ControlPlane } from '../control-plane/control-plane.ts'
import { embeddedServer } from '../kit/embedded-server.ts'
import { eventually } from '../kit/eventually.ts'
import { wireTo, type Wire } from './wire.ts'

export interface Subject {
  name: 'embedded' | 'kubernetes'
  wire: Wire
  /** For kubectl: path of a file, or what makes one. */
  access: { server: string; ca: string; token: string }
  /** Makes a namespace, and resolves when pods can be made in it. */
  makeNamespace(name: string): Promise<void>
}

const TOKEN = 'token-of-the-conformance-suite'
/** A member of system:masters: who may do what is another test's. */
const ANYONE: Identity = { user: 'admin', uid: 'admin', groups: ['system:masters', 'system:authenticated'], allows: () => true }
let embedded: Promise<Subject> | undefined
let kubernetes: Promise<Subject> | undefined
const ends: (() => Promise<void> | void)[] = []
after(async () => {
  for (const end of ends) await end()
})

/** One of this process. */
export function embeddedSubject(): Promise<Subject> {
  embedded ??= startEmbedded()
  return embedded
}

/** One of this process: a start costs seconds. */
export function kubernetesSubject(): Promise<Subject> {
  kubernetes ??= startKubernetes()
  return kubernetes
}

async function startEmbedded(): Promise<Subject> {
  const server = await embeddedServer(TOKEN, ANYONE)
  const wire = wireTo({ server: server.url, ca: server.ca, token: () => TOKEN })
  ends.push(async () => {
    wire.close()
    await server.close()
  })
  const access = { server: server.url, ca: server.ca, token: TOKEN }
  return { name: 'embedded', wire, access, makeNamespace: (name) => makeNamespace(wire, name) }
}

async function startKubernetes(): Promise<Subject> {
  const plane = await ControlPlane.start()
  const wire = wireTo(plane.access)
  ends.push(async () => {
    wire.close()
    await plane.stop()
  })
  const access = { server: plane.server, ca: plane.access.ca!, token: plane.adminToken }
  return {
    name: 'kubernetes',
    wire,
    access,
    async makeNamespace(name) {
      await makeNamespace(wire, name)
      for (const path of [`/api/v1/namespaces/${name}/serviceaccounts/default`, `/api/v1/namespaces/${name}/configmaps/kube-root-ca.crt`]) {
        const isThere = async (): Promise<boolean> => (await wire.call('GET', path)).status === 200
        await eventually(isThere, { withinMs: 60_000, everyMs: 10, because: `the controllers made ${path}` })
      }
    },
  }
}

async function makeNamespace(wire: Wire, name: string): Promise<void> {
  const { status, body } = await wire.call('POST', '/api/v1/namespaces', { body: { metadata: { name } } })
  if (status !== 201) throw new Error(`no namespace ${name}: ${JSON.stringify(body)}`)
}
