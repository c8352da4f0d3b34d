import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { chartValues } from '../../scripts/chart/values.ts'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import type { KubeObject, Pod } from '../../src/kube/objects.ts'
import { PODS, type Resource } from '../../src/kube/resource.ts'
import { lendPlane } from '../kit/planes.ts'
import { needs } from '../kit/ring.ts'

const RUNTIME_CLASSES: Resource = { group: 'node.k8s.io', version: 'v1', kind: 'RuntimeClass', plural: 'runtimeclasses', namespaced: false }

interface KataValues {
  customRuntimes: { runtimes: Record<string, { baseConfig: string; dropIn: string; runtimeClass: string }> }
}
type RuntimeClass = KubeObject & { handler: string }

const page = readFileSync(join(import.meta.dirname, '../../docs/guide/kata.md'), 'utf8')

/** The YAML block that begins with this comment. */
function block<Content>(title: string): Content {
  const [, text] = new RegExp(`\`\`\`yaml\n# ${title}\n([^]*?)\`\`\``).exec(page) ?? assert.fail(`no block of ${title}`)
  return parse(text!) as Content
}

function classOfPage(): { name: string; runtimeClass: RuntimeClass; dropIn: string } {
  const [[name, { runtimeClass, dropIn }] = assert.fail('no runtime')] = Object.entries(
    block<KataValues>('kata-deploy').customRuntimes.runtimes,
  )
  return { name, runtimeClass: parse(runtimeClass) as RuntimeClass, dropIn }
}

test("the page's class has the handler that kata-deploy makes of its name, and is the one that Carrel is installed with", () => {
  const { name, runtimeClass, dropIn } = classOfPage()
  assert.deepEqual([runtimeClass.metadata.name, runtimeClass.handler], [`kata-${name}`, `kata-${name}`])
  assert.match(dropIn, /\[runtime\]\ndisable_guest_seccomp = false\n/)
  const values = chartValues.parse(block('carrel'))
  assert.equal(values.runtimeClasses.default, runtimeClass.metadata.name)
})

test("a real API server takes the page's class, and gives its overhead and nodes to a pod of it", async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const { plane, giveBack } = await lendPlane()
  const transport = httpTransport(plane.access)
  t.after(async () => {
    await transport.close()
    await giveBack()
  })
  const client = new KubeClient(transport)
  const { runtimeClass } = classOfPage()
  await client.create(RUNTIME_CLASSES, runtimeClass)
  const limits = { cpu: '1', memory: '1Gi' }
  const containers = ['agent', 'meter'].map((name) => ({ name, image: 'an-image', resources: { limits } }))
  const { spec } = await client.create<Pod>(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'session', namespace: 'default' },
    spec: { runtimeClassName: runtimeClass.metadata.name, containers },
  })
  assert.deepEqual(spec?.overhead, { cpu: '250m', memory: '320Mi' })
  assert.deepEqual(spec?.nodeSelector, { 'katacontainers.io/kata-runtime': 'true' })
})
