import type { Node } from './ambient.ts'

/** Names declared around a node: of its own block, then of what holds that block. */
export interface Scope {
  names: ReadonlySet<string>
  outer: Scope | undefined
}

type Visit = (node: Node, parent: Node | undefined, scope: Scope | undefined) => void

const FUNCTION = /^(ArrowFunctionExpression|FunctionDeclaration|FunctionExpression)$/
const OPENS_SCOPE =
  /^(Program|BlockStatement|StaticBlock|SwitchStatement|For(In|Of)?Statement|CatchClause|ClassExpression|ArrowFunctionExpression|Function(Declaration|Expression))$/

/** Whether the name is the file's own here, and so not the global of that name. */
export function isDeclared(name: string, scope: Scope | undefined): boolean {
  return scope !== undefined && (scope.names.has(name) || isDeclared(name, scope.outer))
}

/** Visits the node and all below it, each with the scope that its names are looked up in. */
export function walk(node: Node, visit: Visit, parent?: Node, outer?: Scope): void {
  const scope = OPENS_SCOPE.test(node.type) ? { names: namesOf(node), outer } : outer
  visit(node, parent, scope)
  for (const child of childrenOf(node)) walk(child, visit, node, scope)
}

/** What the scope that `node` opens declares itself; the house has no `var`, so nothing rises out of a block. */
function namesOf(node: Node): Set<string> {
  const names = new Set<string>()
  if (node.type.endsWith('Expression')) bind(node['id'], names)
  if (FUNCTION.test(node.type)) (node['params'] as unknown[]).forEach((param) => bind(param, names))
  if (node.type === 'CatchClause') bind(node['param'], names)
  if (!FUNCTION.test(node.type)) for (const child of childrenOf(node)) declare(child, names)
  return names
}

function declare(node: Node, names: Set<string>): void {
  if (node.type === 'VariableDeclarator' || node.type === 'FunctionDeclaration' || node.type === 'ClassDeclaration') bind(node['id'], names)
  if (/^Import\w*Specifier$/.test(node.type)) bind(node['local'], names)
  if (OPENS_SCOPE.test(node.type)) return
  for (const child of childrenOf(node)) declare(child, names)
}

/** The names in a pattern, as in `const { a, b: [c = 1], ...d }`. */
function bind(pattern: unknown, names: Set<string>): void {
  const node = pattern as Node | null | undefined
  if (!node) return
  if (node.type === 'Identifier') names.add(node['name'] as string)
  else if (node.type === 'AssignmentPattern') bind(node['left'], names)
  else if (node.type === 'RestElement') bind(node['argument'], names)
  else if (node.type === 'ArrayPattern') (node['elements'] as unknown[]).forEach((element) => bind(element, names))
  else if (node.type === 'ObjectPattern')
    (node['properties'] as Node[]).forEach((property) => bind(property.type === 'RestElement' ? property : property['value'], names))
}

function childrenOf(node: Node): Node[] {
  return Object.values(node)
    .flat()
    .filter((child): child is Node => typeof (child as Node | null)?.type === 'string')
}
