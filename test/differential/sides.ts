/** The two API servers that are compared: the embedded one behind its own HTTPS server, and a real kube-apiserver. */
import type { Identity } from '../../src/local/api/call.ts'
import { ControlPlane } from '../control-plane/control-plane.ts'
import { embeddedServer } from '../kit/embedded-server.ts'
import { eventually } from '../kit/eventually.ts'
import { sideAt, type Side } from './side.ts'

export interface Sides {
  embedded: Side
  real: Side
  close(): Promise<void>
}

/** Where all traces play, one after the other. */
export const NAMESPACE = 'differential'
const IN_NAMESPACE = `/api/v1/namespaces/${NAMESPACE}`

/** A member of system:masters: who may do what is another test's. */
const ANYONE: Identity = { user: 'admin', groups: ['system:masters', 'system:authenticated'], allows: () => true }
const TOKEN = 'token-of-the-differential-test'

/** `binaries`: of the control plane; by default those that `npm test` prepared. */
export async function startSides(binaries?: string): Promise<Sides> {
  const plane = await ControlPlane.start(binaries === undefined ? {} : { binaries })
  try {
    await realNamespace(plane)
    const real = sideAt('kube-apiserver', plane.access)
    const { side: embedded, stop } = await startEmbedded()
    const close = async (): Promise<void> => {
      await Promise.all([embedded.close(), real.close()])
      await Promise.all([stop(), plane.stop()])
    }
    return { embedded, real, close }
  } catch (error) {
    await plane.stop()
    throw error
  }
}

/**
 * With the service account that pods need, and then without controllers, which would write between the operations of a
 * trace. The server starts anew, so that it has forgotten what was at its beginning.
 */
async function realNamespace(plane: ControlPlane): Promise<void> {
  const real = sideAt('kube-apiserver', plane.access)
  await create(real)
  for (const path of [`${IN_NAMESPACE}/serviceaccounts/default`, `${IN_NAMESPACE}/configmaps/kube-root-ca.crt`]) {
    const isThere = async (): Promise<boolean> => (await real.request({ method: 'GET', path })).status === 200
    await eventually(isThere, { withinMs: 60_000, because: `the controllers made ${path}` })
  }
  process.kill(plane.pids.controllerManager, 'SIGKILL')
  await real.request({ method: 'DELETE', path: `${IN_NAMESPACE}/configmaps/kube-root-ca.crt` })
  await real.close()
  await plane.stopApiServer()
  await plane.startApiServer()
}

/** An embedded API in memory, whose history begins now as a real server's that has just started. */
export async function startEmbedded(): Promise<{ side: Side; stop(): Promise<void> }> {
  const server = await embeddedServer(TOKEN, ANYONE)
  const side = sideAt('embedded', { server: server.url, ca: server.ca, token: () => TOKEN })
  await create(side)
  server.api.compact()
  return { side, stop: () => server.close() }
}

async function create(side: Side): Promise<void> {
  const { status } = await side.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: NAMESPACE } } })
  if (status !== 201 && status !== 409) throw new Error(`${side.name} does not make a namespace: ${status}`)
}
