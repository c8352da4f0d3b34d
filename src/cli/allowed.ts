import type { Transport } from '../kube/transport.ts'

/** Whether the user himself may (SelfSubjectAccessReview). No answer is a no: what hangs on it is shown to nobody by mistake. */
export async function mayRead(
  kubernetes: Transport,
  asked: { resource: string; subresource?: string; namespace: string; name?: string },
): Promise<boolean> {
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { verb: 'get', group: '', ...asked } },
  }
  try {
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
    const answer = await kubernetes.request({ method: 'POST', path, body })
    const { status } = answer.body as { status?: { allowed?: boolean; denied?: boolean } }
    return status?.allowed === true && status.denied !== true
  } catch {
    return false
  }
}
