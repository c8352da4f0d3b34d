/** Values that between them reach every branch of the templates. */
export const SETS: Record<string, object> = {
  'the defaults': {},
  'a trial without Kata': {
    runtimeClasses: { default: 'carrel-runc', create: { runc: true } },
    sessionNamespaces: [{ name: 'agents', podSecurity: 'restricted' }],
    gateway: { service: { type: 'NodePort', nodePort: 30_700 }, autoscaling: { enabled: false } },
    redis: { persistence: { enabled: false }, networkPolicy: false },
    farewell: { enabled: false },
  },
  'everything that is optional': {
    image: { digest: `sha256:${'a'.repeat(64)}`, pullSecrets: [{ name: 'registry' }] },
    sessionNamespaces: [
      { name: 'agents', create: true },
      { name: 'team-b', create: true, podSecurity: 'baseline' },
    ],
    invokers: [
      { kind: 'Group', name: 'callers' },
      { kind: 'ServiceAccount', name: 'backend', namespace: 'shop' },
    ],
    runtimeClasses: { allowed: ['kata-fc', 'carrel-runc'], create: { kata: true } },
    operator: {
      nodeSelector: { pool: 'system' },
      tolerations: [{ key: 'system', operator: 'Exists' }],
      podAnnotations: { 'example.com/a': 'b' },
    },
    gateway: {
      publicUrl: 'https://agents.example.com',
      podAnnotations: { 'example.com/a': 'b' },
      service: { type: 'LoadBalancer', annotations: { 'example.com/internal': 'true' } },
      ingress: { enabled: true, host: 'agents.example.com', tlsSecret: 'agents-tls', className: 'nginx', annotations: { a: 'b' } },
    },
    meter: { imagePullSecrets: ['registry'] },
    oidc: { trustedIssuers: ['https://idp.internal:8443'], trustedCidrs: ['10.1.0.0/16'], caConfigMap: 'idp-ca' },
    redis: { tlsSecret: 'redis-tls', persistence: { storageClass: 'fast' }, nodeSelector: { pool: 'system' } },
    crds: { install: false },
  },
  'a Redis of your own, by URL': { redis: { url: 'rediss://carrel:secret@redis.example:6379', caSecret: 'redis-ca' } },
  'a Redis of your own, by Secret': { redis: { existingSecret: 'my-redis' }, meter: { existingSecret: 'my-meter' } },
}
