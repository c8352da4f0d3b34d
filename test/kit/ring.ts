import type { TestContext } from 'node:test'

const WHAT = {
  CARREL_TEST_PYTHON: 'Python with boto3 and the bedrock-agentcore SDK',
  CARREL_TEST_KUBECTL: 'kubectl',
  CARREL_TEST_HELM: 'Helm',
  CARREL_TEST_CHROMIUM: 'Chromium',
  CARREL_TEST_NODE20: 'Node 20',
  CARREL_TEST_NPM11: 'npm 11',
  CARREL_TEST_NPM12: 'npm 12',
  CARREL_TEST_REDIS: 'Redis 7',
  CARREL_TEST_FAKETIME: 'libfaketime',
  CARREL_TEST_CONTROL_PLANE: 'etcd and a real kube-apiserver',
  CARREL_TEST_IMAGES: 'images for a node',
  CARREL_TEST_NODE: 'containerd and CoreDNS for a node',
}

/** The path of a program that `npm test` prepared. Without it the test says why and skips; in CI that is a failure. */
export function needs(t: TestContext, variable: keyof typeof WHAT): string | undefined {
  const path = process.env[variable]
  if (path) return path
  const why = `${WHAT[variable]} is not here: ${process.env[`${variable}_MISSING`] ?? 'run the tests by npm test'}`
  if (process.env['CI']) throw new Error(why)
  t.skip(why)
  return undefined
}

/** Whether a test that needs to be root can run; same rule. */
export function needsRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return true
  const why = 'this test changes users and mounts, which only root may'
  if (process.env['CI']) throw new Error(why)
  t.skip(why)
  return false
}
