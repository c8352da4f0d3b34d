/** Adapter: the chart by the real helm. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

export const CHART = join(import.meta.dirname, '..', '..', 'deploy', 'helm', 'carrel')
export const SYSTEM = 'carrel-system'

/** As it comes out of a template; what a test looks into is its own business. */
export interface Rendered {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> }
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [field: string]: any
}

const home = mkdtempSync(join(tmpdir(), 'carrel-helm-'))
process.once('exit', () => rmSync(home, { recursive: true, force: true }))

/** Runs helm with a home of the tests' own. */
export function helm(
  parameters: string[],
  { values = {}, kubeconfig = '/dev/null', namespace = SYSTEM }: { values?: object; kubeconfig?: string; namespace?: string } = {},
): { status: number | null; stdout: string; stderr: string } {
  const file = join(home, 'values.json')
  writeFileSync(file, JSON.stringify(values))
  const takesValues = ['install', 'upgrade', 'template', 'lint'].includes(parameters[0]!)
  return spawnSync(
    process.env['CARREL_TEST_HELM']!,
    [...parameters, '--namespace', namespace, ...(takesValues ? ['--values', file] : [])],
    {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      timeout: 120_000,
      env: { ...process.env, HOME: home, KUBECONFIG: kubeconfig },
    },
  )
}

/** Every object of the chart with these values; throws what helm says of wrong ones. */
export function rendered(values: object = {}): Rendered[] {
  const { status, stdout, stderr } = helm(['template', 'carrel', CHART], { values })
  if (status !== 0) throw new Error(stderr)
  return parseAllDocuments(stdout).flatMap((document) => (document.toJS() as Rendered | null) ?? [])
}

export function find(objects: Rendered[], kind: string, name: string, namespace?: string): Rendered {
  const found = objects.find(
    (object) =>
      object.kind === kind && object.metadata.name === name && (namespace === undefined || object.metadata.namespace === namespace),
  )
  if (found === undefined) throw new Error(`the chart has no ${kind} ${name}`)
  return found
}
