import type { KubeObject } from '../kube/objects.ts'
import type { KindDefinition, Kind } from './define-kind.ts'
import { structuralSchema, withRules, type StructuralSchema } from './structural-schema.ts'

/** The whole object's schema, rules and all: the one truth that the CRD shows and the embedded API server enforces. */
export function schemaOf(kind: KindDefinition): StructuralSchema {
  const root: StructuralSchema = {
    type: 'object',
    description: kind.description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: structuralSchema(kind.spec, 'spec'),
      status: structuralSchema(kind.status, 'status'),
    },
  }
  const schema = withRules(root, kind.rules)
  if (kind.nameRule) schema['x-kubernetes-validations'] = nameRules(kind.nameRule)
  return schema
}

/** `metadata.name` is all that a root rule may read of metadata. */
function nameRules({ pattern, maxLength }: { pattern: string; maxLength: number }): { rule: string; message: string; fieldPath: string }[] {
  return [
    { rule: `self.metadata.name.matches('${pattern}')`, message: nameMessage({ pattern, maxLength }), fieldPath: '.metadata.name' },
    { rule: `size(self.metadata.name) <= ${maxLength}`, message: nameMessage({ pattern, maxLength }), fieldPath: '.metadata.name' },
  ]
}

export function nameMessage({ pattern, maxLength }: { pattern: string; maxLength: number }): string {
  return `a name has at most ${maxLength} characters and matches ${pattern}`
}

/** The CustomResourceDefinition of a kind. */
export function manifestOf(kind: Kind): KubeObject & { spec: object } {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${kind.group}` },
    spec: {
      group: kind.group,
      names: { kind: kind.kind, listKind: `${kind.kind}List`, plural: kind.plural, singular: kind.singular, shortNames: kind.shortNames, categories: ['carrel'] },
      scope: 'Namespaced',
      versions: [
        {
          name: kind.version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: kind.columns,
          schema: { openAPIV3Schema: schemaOf(kind) },
        },
      ],
    },
  }
}
