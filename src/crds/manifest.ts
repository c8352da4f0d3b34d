import type { KubeObject } from '../kube/objects.ts'
import type { Kind } from './define-kind.ts'
import { withRules } from './rules.ts'
import { structuralSchema, type StructuralSchema } from './structural-schema.ts'

const schemas = new WeakMap<Kind, StructuralSchema>()

/** The whole object's schema, rules and all: the one truth that the CRD shows and the embedded API server enforces. */
export function schemaOf(kind: Kind): StructuralSchema {
  const schema = schemas.get(kind) ?? withRules(rootSchema(kind), kind.rules)
  schemas.set(kind, schema)
  return schema
}

function rootSchema({ description, nameRule, spec, status }: Kind): StructuralSchema {
  // Of metadata a schema may restrict the name alone, and no rule can name a field that is not declared here.
  const metadata: StructuralSchema = { type: 'object', ...(nameRule ? { properties: { name: { type: 'string', ...nameRule } } } : {}) }
  return {
    description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata,
      spec: structuralSchema(spec, 'spec'),
      status: structuralSchema(status, 'status'),
    },
  }
}

/** The CustomResourceDefinition of a kind. */
export function manifestOf(kind: Kind): KubeObject & { spec: object } {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${kind.group}` },
    spec: {
      group: kind.group,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: kind.shortNames,
        categories: ['carrel'],
      },
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
