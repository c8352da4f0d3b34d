import type { ApiError } from '../../kube/errors.ts'
import { withoutQueries } from './image-pull.ts'
import type { Ending } from './step.ts'

/**
 * What the API server's refusal of a session's pod, or of what belongs to it, means for the session; undefined: it is no
 * refusal that lasts, and the next try may succeed. Pure.
 */
export function refusalOfCreate({ status, message }: ApiError, namespace: string): Ending | undefined {
  if (status !== 400 && status !== 403 && status !== 422) return undefined
  const said = withoutQueries(message)
  for (const { pattern, ending } of REFUSALS) if (pattern.test(message)) return ending(said, namespace)
  return { reason: 'AdmissionRefused', message: `the API server refuses the pod: ${said}` }
}

/** The words of Kubernetes 1.37; the order matters where one contains another. */
const REFUSALS: { pattern: RegExp; ending: (said: string, namespace: string) => Ending | undefined }[] = [
  { pattern: /status unknown for quota|not yet ready to handle request/, ending: () => undefined },
  {
    pattern: /exceeded quota:/,
    ending: (said, namespace) => ({
      reason: 'QuotaExceeded',
      message: `a ResourceQuota of namespace ${namespace} leaves no room: raise it, end other sessions, or lower spec.resources (${said})`,
    }),
  },
  {
    pattern: /RuntimeClass "[^"]*" not found/,
    ending: (said) => ({
      reason: 'RuntimeClassMissing',
      message: `the cluster has no such RuntimeClass: correct spec.runtimeClassName, or install it (${said})`,
    }),
  },
  {
    pattern: /^[^"]*is forbidden: User "[^"]*" cannot (create|get|list) resource/,
    ending: (said, namespace) => ({
      reason: 'AdmissionRefused',
      message: `namespace ${namespace} is no session namespace of this installation: add it to sessionNamespaces of its chart (${said})`,
    }),
  },
  {
    pattern: /violates PodSecurity "[^"]*"/,
    ending: (said, namespace) => ({
      reason: 'AdmissionRefused',
      message: `Pod Security of namespace ${namespace} refuses the pod: change what spec asks for, or the namespace's label pod-security.kubernetes.io/enforce (${said})`,
    }),
  },
  {
    pattern: /error looking up service account [^:]*: serviceaccount "[^"]*" not found/,
    ending: (said, namespace) => ({
      reason: 'AdmissionRefused',
      message: `namespace ${namespace} has no such ServiceAccount: create it, or correct spec.serviceAccountName (${said})`,
    }),
  },
  {
    pattern: /(ValidatingAdmissionPolicy|admission webhook) .*denied (the )?request/,
    ending: (said) => ({ reason: 'AdmissionRefused', message: `a policy of the cluster refuses the pod: ${said}` }),
  },
  {
    pattern: /(maximum|minimum) \S+ usage per (Container|Pod) is/,
    ending: (said, namespace) => ({
      reason: 'AdmissionRefused',
      message: `a LimitRange of namespace ${namespace} refuses the pod: change spec.resources (${said})`,
    }),
  },
]
