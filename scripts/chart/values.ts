/**
 * Every value of the Helm chart, with its default: values.yaml, which people read, and values.schema.json, by which Helm refuses
 * what is wrong or unknown, are both written from here. An empty text means "not set".
 */
import { z } from 'zod'

const group = <Shape extends z.ZodRawShape>(what: string, shape: Shape) =>
  z
    .strictObject(shape)
    .prefault({} as never)
    .describe(what)
const text = (what: string, fallback = '') => z.string().default(fallback).describe(what)
const flag = (what: string, fallback: boolean) => z.boolean().default(fallback).describe(what)
const count = (what: string, fallback: number, least = 0) => z.int().min(least).max(1_000_000).default(fallback).describe(what)
const name = z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
const nameOrEmpty = (what: string, fallback = '') =>
  z
    .string()
    .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/)
    .default(fallback)
    .describe(what)
const texts = (what: string) => z.record(z.string(), z.string()).default({}).describe(what)
/** As Kubernetes has it; the API server judges what is in it. */
const anything = (what: string) => z.record(z.string(), z.any()).default({}).describe(what)
const list = (what: string) => z.array(z.record(z.string(), z.any())).default([]).describe(what)

const amount = z.union([z.string(), z.number()])
const amounts = z.record(z.string(), amount)
const resources = (what: string, limits: Record<string, string>, requests: Record<string, string>) =>
  z.strictObject({ limits: amounts.optional(), requests: amounts.optional() }).default({ limits, requests }).describe(what)

const placement = {
  nodeSelector: texts('Nodes that its pods may run on.'),
  tolerations: list('Taints that its pods tolerate.'),
}

const sessionNamespace = z.strictObject({
  name: name.describe('Name of the namespace.'),
  create: z.boolean().optional().describe('Make it, and keep it when the chart is uninstalled.'),
  podSecurity: z
    .enum(['restricted', 'baseline', 'privileged'])
    .optional()
    .describe('Pod Security level of a namespace that the chart makes; restricted without one.'),
})

const invoker = z.strictObject({
  kind: z.enum(['User', 'Group', 'ServiceAccount']),
  name: z.string().min(1),
  namespace: z.string().optional().describe('Of a ServiceAccount.'),
})

export const chartValues = z.strictObject({
  image: group("Carrel's own image: operator, gateway and meter.", {
    repository: text('Name of the image, without a tag.', 'carrel/carrel'),
    tag: text("Tag; without one, the chart's appVersion."),
    digest: z
      .string()
      .regex(/^(sha256:[0-9a-f]{64})?$/)
      .default('')
      .describe('Digest, sha256:…, which wins over the tag.'),
    pullPolicy: z.enum(['IfNotPresent', 'Always', 'Never']).default('IfNotPresent').describe('When nodes pull it.'),
    pullSecrets: z
      .array(z.strictObject({ name }))
      .default([])
      .describe('Secrets of carrel-system that may pull it; for the meter see meter.imagePullSecrets.'),
  }),
  accountId: z
    .string()
    .regex(/^[0-9]{12}$/)
    .default('000000000000')
    .describe('Account in the ARNs of this installation: twelve digits, in quotes.'),
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-[0-9]+$/)
    .default('us-east-1')
    .describe('Region in the ARNs and signatures, and AWS_REGION of the agents.'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that operator and gateway log.'),

  sessionNamespaces: z
    .array(sessionNamespace)
    .min(1)
    .default([{ name: 'agents', create: true, podSecurity: 'restricted' }])
    .describe('Where sessions may run: only in these namespaces may the operator make pods. A namespace is the boundary between tenants.'),
  invokers: z
    .array(invoker)
    .default([{ kind: 'User', name: 'first-caller' }])
    .describe('Who may call and stop every runtime of the session namespaces. Nobody is first-caller before a key is made for it.'),
  runtimeClasses: group('RuntimeClasses: what isolates a session.', {
    default: nameOrEmpty(
      "Class of runtimes that name none. carrel-runc is an ordinary container, NOT isolated from its node; '' is the cluster's own default.",
      'kata-qemu-runtime-rs',
    ),
    allowed: z.array(name).default([]).describe('Classes that a runtime may name, beside the default.'),
    create: group('Classes that the chart makes.', {
      kata: flag('kata-qemu-runtime-rs, where kata-deploy has installed Kata without its classes.', false),
      runc: flag('carrel-runc, marked as not isolated. Made also when it is the default or allowed.', false),
    }),
  }),

  operator: group('The operator: opens, watches over and ends the pods of sessions. One of them leads.', {
    replicas: count('How many.', 2, 1),
    sessionTtlSeconds: count('An ended session is removed after this long.', 600),
    metricsPort: z.int().min(1).max(65_535).default(9464).describe('Port of /metrics and of the probes.'),
    resources: resources('What each gets.', { memory: '512Mi' }, { cpu: '100m', memory: '160Mi' }),
    podAnnotations: texts('On its pods.'),
    ...placement,
  }),
  gateway: group('The gateway: authenticates calls and routes them to the pods of sessions.', {
    replicas: count('How many, without autoscaling.', 2, 1),
    autoscaling: group('By CPU. With it, the number of replicas is its own.', {
      enabled: flag('Make a HorizontalPodAutoscaler.', true),
      minReplicas: count('Least.', 2, 1),
      maxReplicas: count('Most.', 10, 1),
      targetCPUPercent: count('Of what is requested.', 70, 1),
    }),
    publicUrl: text('Where callers reach it, as https://agents.example.com.'),
    drainSeconds: count('How long open calls get when a gateway ends.', 30),
    logSubjects: flag('Write who calls into the access log as it is, not by hash.', false),
    connectionsPerAddress: count(
      'Connections that one client address may hold open; 0 for any number, where all come through one proxy.',
      1_000,
    ),
    spoolSize: z.string().min(1).default('6Gi').describe('Room on the node for large payloads until they are verified.'),
    service: group('How it is reached.', {
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP').describe('Type of the Service carrel-gateway.'),
      nodePort: z.int().min(0).max(65_535).default(0).describe('Port on the nodes, for NodePort; 0 for any.'),
      annotations: texts('On the Service, as a cloud provider reads them.'),
    }),
    ingress: group('An Ingress for it.', {
      enabled: flag('Make one.', false),
      className: text("IngressClass; without one, the cluster's default."),
      host: text('Host name.'),
      tlsSecret: nameOrEmpty('Secret of carrel-system with the certificate of that host; without one, no TLS.'),
      annotations: texts('Such as long timeouts of the controller: a session answers for up to 15 minutes.'),
    }),
    httpRoute: group('An HTTPRoute of the Gateway API for it.', {
      enabled: flag('Make one.', false),
      parentRefs: list('Gateways that it hangs on, as [{ name: public, namespace: edge }]. TLS is theirs.'),
      hostnames: z.array(z.string()).default([]).describe('Host names.'),
    }),
    resources: resources('What each gets.', { memory: '1Gi' }, { cpu: '250m', memory: '192Mi' }),
    podAnnotations: texts('On its pods.'),
    ...placement,
  }),
  meter: group("The meter beside each agent, which also proves the pod. Its image is Carrel's.", {
    existingSecret: nameOrEmpty(
      'Secret of carrel-system whose key "secret" (32 characters or more) the keys of meters are made from. Without one, the chart makes carrel-meter.',
    ),
    imagePullSecrets: z.array(name).default([]).describe('Secrets of each session namespace that may pull its image.'),
    cpu: z.string().min(1).default('500m').describe('CPU limit.'),
    memory: z.string().min(1).default('64Mi').describe('Memory limit.'),
    ephemeralStorage: z.string().min(1).default('16Mi').describe('Storage limit.'),
  }),
  oidc: group('Identity providers of bearer tokens, beyond public ones on port 443.', {
    trustedIssuers: z.array(z.string()).default([]).describe('Issuers that may be on private addresses and other ports.'),
    trustedCidrs: z.array(z.string()).default([]).describe('Networks in which any issuer may be.'),
    caConfigMap: nameOrEmpty('ConfigMap of carrel-system whose key ca.crt holds further authorities of their certificates.'),
  }),

  redis: group('Where operators and gateways keep who is using which session. See docs/guide/redis.md.', {
    url: text('Of one that you run: rediss://user:password@host:6379. Without it and existingSecret, the chart runs a small one.'),
    existingSecret: nameOrEmpty('Secret of carrel-system with the keys operator-url and gateway-url, in place of url.'),
    caSecret: nameOrEmpty('Secret of carrel-system whose key ca.crt is the authority of its certificate, for rediss://.'),
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/)
      .default('carrel')
      .describe('Name of this installation among those that share a Redis.'),
    image: z.string().min(1).default('redis:7').describe('Of the one inside.'),
    tlsSecret: nameOrEmpty(
      'Secret of carrel-system (tls.crt, tls.key, ca.crt) for the host carrel-redis: the one inside then speaks TLS only.',
    ),
    persistence: group('What the one inside keeps when its pod ends.', {
      enabled: flag('On a volume. Without, on the disk of its node while its pod lives there.', true),
      size: z.string().min(1).default('1Gi').describe('Of the volume.'),
      storageClass: nameOrEmpty("StorageClass; without one, the cluster's default."),
    }),
    networkPolicy: flag('Let only operators and gateways reach the one inside, where the network enforces it.', true),
    resources: resources('What the one inside gets.', { memory: '256Mi' }, { cpu: '200m', memory: '64Mi' }),
    ...placement,
  }),

  crds: group("Carrel's kinds.", {
    install: flag('Install and upgrade them with the chart. They stay when it is uninstalled.', true),
  }),
  serviceMonitor: group("Scraping by Prometheus' operator.", {
    enabled: flag('Make a ServiceMonitor for operator and gateway.', false),
    interval: text('Between two scrapes.', '30s'),
    labels: texts('By which your Prometheus selects it.'),
  }),
  farewell: group('What ends the sessions before the chart is uninstalled.', {
    enabled: flag('Without it, live sessions hang on their finalizers after an uninstall.', true),
    seconds: z.int().min(1).max(45).default(30).describe('How long the operator gets to end them; then their pods are killed.'),
  }),
  global: anything('Not used; Helm gives it to charts that are parts of others.'),
})
