/**
 * What the chart's templates know of the code, so that nothing is said twice: which rights each part needs and where, whose word a
 * status is, what a Redis user may do.
 */
import { stringify } from 'yaml'
import { ACL_COMMANDS } from '../../src/activity/redis/scripts.ts'
import { SYSTEM_NAMESPACE } from '../../src/crds/system.ts'
import { GRANTS, OPERATOR_ONLY, type Grant } from '../../src/local/api/identities.ts'

/** `cluster`: everywhere. `system`: in Carrel's own namespace. `sessions`: in each session namespace. */
export type Where = 'cluster' | 'system' | 'sessions'
export type ChartPart = 'operator' | 'gateway'

export interface Rule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
}

const READ = ['get', 'list', 'watch']
/** Reviews are about all namespaces; so are Carrel's own kinds. */
const EVERYWHERE = ['carrel.dev', 'authentication.k8s.io', 'authorization.k8s.io']
/** What happened to a session's pod, and what it wrote, is read where pods are; events are recorded wherever there is a runtime. */
const SESSIONS_ONLY = ['/events', 'events.k8s.io/events', '/pods/log']

/** One right, where a cluster gives it: no wider than the work needs. */
export function whereOf(verb: string, resource: string, grant: Grant): Where {
  if (grant.namespace === SYSTEM_NAMESPACE || resource === 'coordination.k8s.io/leases') return 'system'
  const group = resource.slice(0, resource.indexOf('/'))
  const isRead = READ.includes(verb)
  if (SESSIONS_ONLY.includes(resource)) return isRead ? 'sessions' : 'cluster'
  return isRead || EVERYWHERE.includes(group) ? 'cluster' : 'sessions'
}

/** The rules of a part's roles, by where they hold; made of the rights that it has on a laptop. */
export function rulesOf(part: ChartPart): Record<Where, Rule[]> {
  const rules: Record<Where, Rule[]> = { cluster: [], system: [], sessions: [] }
  for (const grant of GRANTS[part] as readonly Grant[]) {
    for (const on of grant.on) {
      for (const verb of grant.verbs) {
        const group = on.slice(0, on.indexOf('/'))
        add(rules[whereOf(verb, on, grant)], group, on.slice(group.length + 1), verb)
      }
    }
  }
  return rules
}

/** One rule for a resource: a rule for two would grant every verb on both. */
function add(rules: Rule[], group: string, resource: string, verb: string): void {
  const known = rules.find(({ apiGroups, resources }) => apiGroups[0] === group && resources[0] === resource)
  if (known === undefined) rules.push({ apiGroups: [group], resources: [resource], verbs: [verb] })
  else if (!known.verbs.includes(verb)) known.verbs.push(verb)
}

export function factsPage(head: string): string {
  const statuses = [...OPERATOR_ONLY].map((path) => path.slice(path.indexOf('/') + 1))
  const facts = {
    systemNamespace: SYSTEM_NAMESPACE,
    rights: { operator: rulesOf('operator'), gateway: rulesOf('gateway') },
    operatorOnly: { apiGroups: ['carrel.dev'], apiVersions: ['*'], operations: ['UPDATE'], resources: statuses },
    redisCommands: ACL_COMMANDS,
  }
  return `# ${head}\n${stringify(facts, { lineWidth: 0, aliasDuplicateObjects: false })}`
}
