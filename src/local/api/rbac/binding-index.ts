import { RBAC_GROUP, type Binding, type Person, type Subject } from './policy.ts'

export const ROLE_BINDINGS = `${RBAC_GROUP}/rolebindings`
export const CLUSTER_ROLE_BINDINGS = `${RBAC_GROUP}/clusterrolebindings`

type Bucket = Map<string, Binding>

/**
 * Bindings by whom they are for, so that a question looks at the asker's own only, however many there are. It is told of
 * every change, and holds nothing that the store does not.
 */
export class BindingIndex {
  /** Scope ('' for the whole cluster) and subject → bindings by name. */
  readonly #buckets = new Map<string, Bucket>()

  /** Takes in a binding, in place of what it was before. */
  replace(binding: Binding | undefined, previous: Binding | undefined): void {
    for (const key of keysOf(previous)) this.#drop(key, previous!.metadata.name)
    for (const key of keysOf(binding)) {
      const bucket = this.#buckets.get(key) ?? new Map<string, Binding>()
      this.#buckets.set(key, bucket.set(binding!.metadata.name, binding!))
    }
  }

  /** Those for the person: of the cluster, and then those of the namespace. One that names the person twice may come twice. */
  *of(person: Person, namespace: string): Generator<Binding> {
    const names = namesOf(person)
    for (const scope of namespace === '' ? [''] : ['', namespace]) {
      for (const name of names) yield* this.#buckets.get(keyOf(scope, name))?.values() ?? []
    }
  }

  #drop(key: string, name: string): void {
    const bucket = this.#buckets.get(key)
    bucket?.delete(name)
    if (bucket?.size === 0) this.#buckets.delete(key)
  }
}

/** The subject of the binding by which it is for the person. */
export function subjectFor({ subjects = [], metadata: { namespace = '' } }: Binding, person: Person): Subject | undefined {
  const names = new Set(namesOf(person))
  return subjects.find((subject) => {
    const name = nameOf(subject, namespace)
    return name !== undefined && names.has(name)
  })
}

/** A text that no name can be part of. */
const SEPARATOR = '\n'

const keyOf = (scope: string, name: string): string => `${scope}${SEPARATOR}${name}`

function keysOf(binding: Binding | undefined): Set<string> {
  if (binding === undefined) return new Set()
  const { namespace = '' } = binding.metadata
  const names = (binding.subjects ?? []).map((subject) => nameOf(subject, namespace))
  return new Set(names.filter((name) => name !== undefined).map((name) => keyOf(namespace, name)))
}

function nameOf({ kind, name, namespace }: Subject, ofBinding: string): string | undefined {
  if (kind === 'User') return `user ${name}`
  if (kind === 'Group') return `group ${name}`
  const place = namespace || ofBinding
  return kind === 'ServiceAccount' && place ? `user system:serviceaccount:${place}:${name}` : undefined
}

function namesOf({ user, groups }: Person): string[] {
  return [`user ${user}`, ...groups.map((group) => `group ${group}`)]
}
