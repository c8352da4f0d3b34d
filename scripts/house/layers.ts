import { dirname, relative, resolve } from 'node:path'

/** Folder of src/ → folders that it may import from, beside itself. The picture is in docs/architecture.md. */
export const LAYERS: Record<string, readonly string[]> = {
  env: [],
  sigv4: [],
  telemetry: [],
  sessions: [],
  crds: ['sessions', 'kube'],
  kube: ['env'],
  activity: ['env', 'kube'],
  oidc: ['env', 'crds'],
  operator: ['env', 'kube', 'crds', 'sessions', 'activity', 'oidc', 'metering', 'telemetry'],
  gateway: ['env', 'kube', 'crds', 'sessions', 'activity', 'oidc', 'metering', 'sigv4', 'telemetry'],
  local: ['env', 'kube', 'crds', 'sessions', 'activity', 'oidc', 'metering', 'sigv4', 'telemetry'],
  metering: ['env', 'kube', 'crds', 'sessions', 'telemetry'],
  cli: ['env', 'kube', 'crds', 'sessions', 'metering', 'sigv4', 'telemetry'],
}

/** Only types cross here: crds describes Kubernetes objects and calls nobody. */
const TYPES_ONLY: Record<string, string> = { crds: 'kube/objects.ts' }

/** The one place that puts operator, gateway and API of a local installation together. */
const WIRING = /^local\/(main\.ts|start\/)/

/** Packages that a layer must not load, and why. */
const PACKAGES: Record<string, Record<string, string>> = {
  gateway: { '@kubernetes/client-node': '0.5 s and 80 MB at start' },
}

/** Says what is wrong with the import of `specifier` in `file` (below `source`); undefined when nothing is. */
export function layerFault(source: string, file: string, specifier: string, typeOnly: boolean): string | undefined {
  const from = file.split('/')[0]!
  if (!specifier.startsWith('.')) {
    const barred = Object.entries(PACKAGES[from] ?? {}).find(([name]) => `${specifier}/`.startsWith(`${name}/`))
    return barred && !typeOnly ? `${from} never loads ${specifier} (${barred[1]})` : undefined
  }
  const allowed = LAYERS[from]
  if (allowed === undefined) return `src/${from} has no layer: add it to the table in scripts/house/layers.ts`
  const target = relative(source, resolve(source, dirname(file), specifier))
  if (target.startsWith('..')) return `${specifier} is outside src`
  const to = target.split('/')[0]!
  if (to === from || WIRING.test(file)) return undefined
  if (!allowed.includes(to)) return `${from} must not import ${to}`
  const described = TYPES_ONLY[from]
  if (described?.split('/')[0] !== to || (target === described && typeOnly)) return undefined
  return `${from} takes types of ${described} and nothing else from ${to}: import type`
}
