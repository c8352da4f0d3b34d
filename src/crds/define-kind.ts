import type { z } from 'zod'
import type { KubeObject } from '../kube/objects.ts'

export const GROUP = 'carrel.dev'
export const VERSION = 'v1alpha1'

/** A rule of the kind: CEL for the real API server, and its TypeScript twin for the embedded one (tested side by side). */
export interface Rule {
  /** Dotted path of the value that `self` is: `spec.lifecycle`, or '' for the object. The rule is skipped where the value is absent. */
  path: string
  cel: string
  message: string
  /** Relative path of the field to name in the refusal, as CEL's fieldPath: `.idleTimeoutSeconds`. */
  fieldPath?: string
  /** Twin of a rule that does not mention oldSelf. */
  // eslint-disable-next-line -- the value's type differs per path
  holds?: (self: never) => boolean
  /** Twin of a transition rule: checked on updates only, where the old value exists too. */
  holdsOnUpdate?: (self: never, oldSelf: never) => boolean
}

export interface Column {
  name: string
  type: 'string' | 'integer' | 'date'
  jsonPath: string
  /** 1: only with `kubectl get -o wide`. */
  priority?: number
}

export interface KindDefinition {
  kind: string
  plural: string
  singular: string
  shortNames: string[]
  description: string
  /** Rule for metadata.name beyond Kubernetes' own. */
  nameRule?: { pattern: string; maxLength: number }
  spec: z.ZodType
  status: z.ZodType
  rules: Rule[]
  columns: Column[]
}

/** One of Carrel's kinds: schema, rules and columns in one place; structurally a `Resource` of `src/kube`. */
export interface Kind<T extends KubeObject = KubeObject> extends KindDefinition {
  group: string
  version: string
  namespaced: true
  /** Never set; carries the type. */
  readonly _object?: T
}

export function defineKind<T extends KubeObject>(definition: KindDefinition): Kind<T> {
  return { ...definition, group: GROUP, version: VERSION, namespaced: true }
}
