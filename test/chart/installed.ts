/** Adapter: the chart installed on a real control plane, by helm. It has no nodes, so that nothing of it runs. */
import type { TestContext } from 'node:test'
import { after } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import type { Resource } from '../../src/kube/resource.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { ControlPlane } from '../control-plane/control-plane.ts'
import { needs } from '../kit/ring.ts'
import { CHART, SYSTEM, helm, type Rendered } from './helm.ts'

export type AnyObject = KubeObject & Rendered

export const kindOf = (group: string, version: string, kind: string, plural: string, namespaced = true): Resource<AnyObject> => ({
  group,
  version,
  kind,
  plural,
  namespaced,
})
export const SECRET_KIND = kindOf('', 'v1', 'Secret', 'secrets')
export const DEPLOYMENT = kindOf('apps', 'v1', 'Deployment', 'deployments')
export const STATEFUL_SET = kindOf('apps', 'v1', 'StatefulSet', 'statefulsets')
export const NAMESPACE = kindOf('', 'v1', 'Namespace', 'namespaces', false)
export const CRD = kindOf('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', false)

export interface EmptyCluster {
  kubeconfig: string
  client: KubeClient
  transport: Transport
}

export interface Installed extends EmptyCluster {
  /** Answers what helm printed; throws what it says when it fails. */
  helm(parameters: string[], values?: object): string
}

let empty: Promise<EmptyCluster> | undefined
let opened: Promise<Installed> | undefined
const closing: (() => Promise<void>)[] = []
after(() => Promise.all(closing.map((close) => close()))) // of the file: inside a test it would be the test's

/** One for the test file, with Carrel's kinds, as somebody put them there by kubectl. */
export async function emptyCluster(t: TestContext): Promise<EmptyCluster | undefined> {
  if (!needs(t, 'CARREL_TEST_HELM') || !needs(t, 'CARREL_TEST_CONTROL_PLANE')) return undefined
  return (empty ??= openEmpty())
}

/** The same with the chart installed, which takes the kinds over. */
export async function installed(t: TestContext): Promise<Installed | undefined> {
  const cluster = await emptyCluster(t)
  return cluster && (opened ??= install(cluster))
}

async function openEmpty(): Promise<EmptyCluster> {
  const plane = await ControlPlane.start()
  const transport = httpTransport(plane.access)
  closing.push(async () => {
    await transport.close()
    await plane.stop()
  })
  return { kubeconfig: plane.kubeconfig, transport, client: new KubeClient(transport) }
}

async function install(cluster: EmptyCluster): Promise<Installed> {
  const run = (parameters: string[], values = {}): string => {
    const { status, stdout, stderr } = helm(parameters, { values, kubeconfig: cluster.kubeconfig })
    if (status !== 0) throw new Error(`helm ${parameters.join(' ')}: ${stderr}`)
    return stdout
  }
  run(['install', 'carrel', CHART, '--create-namespace', '--take-ownership', '--force-conflicts'])
  return { ...cluster, helm: run }
}

export const secretOf = async ({ client }: Installed, name: string): Promise<Record<string, string>> =>
  (await client.get(SECRET_KIND, SYSTEM, name))['data'] as Record<string, string>
