import { stringify } from 'yaml'

export interface KubeconfigOptions {
  /** `https://127.0.0.1:8701`. */
  server: string
  /** PEM text of the certificate that the server must show. */
  ca: string
  /** Or the path of a file that holds it and is read again. */
  token: string | { file: string }
  /** Name of the user's entry; the token alone says who calls. */
  user: string
  /** Where kubectl looks without `-n`. */
  namespace: string
}

/**
 * A kubeconfig with one context, `carrel`, as YAML text. It holds a secret: the caller writes it with mode 0600.
 * `server` must be https: kubectl sends no token otherwise, and its requests would all be 401.
 */
export function kubeconfigFor({ server, ca, token, user, namespace }: KubeconfigOptions): string {
  if (!server.startsWith('https://')) {
    throw new Error(`kubeconfig: server ${server} must be https://, because kubectl sends a token over TLS only`)
  }
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'carrel', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name: user, user: typeof token === 'string' ? { token } : { tokenFile: token.file } }],
    contexts: [{ name: 'carrel', context: { cluster: 'carrel', user, namespace } }],
    'current-context': 'carrel',
  })
}
