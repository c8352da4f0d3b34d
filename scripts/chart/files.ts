/** The chart's generated files, by their path below the checkout. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { factsPage } from './facts.ts'
import { valuesPage, valuesSchema } from './pages.ts'

const CHART = 'deploy/helm/carrel'
const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')) as { version: string }

/** `crds`: file name → CustomResourceDefinition, as in deploy/crds. */
export function chartFiles(head: string, crds: Record<string, string>): Record<string, string> {
  return {
    [`${CHART}/Chart.yaml`]: chartPage(head),
    [`${CHART}/values.yaml`]: valuesPage(head),
    [`${CHART}/values.schema.json`]: valuesSchema(),
    [`${CHART}/files/facts.yaml`]: factsPage(head),
    ...Object.fromEntries(Object.entries(crds).map(([file, text]) => [`${CHART}/files/crds/${file}`, keptCrd(text)])),
  }
}

/** An uninstall leaves it: with the kind would go every object of it. */
function keptCrd(text: string): string {
  return text.replace('\nmetadata:\n', '\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n')
}

/** 1.30: sleep before the end of a pod, and ValidatingAdmissionPolicy. */
function chartPage(head: string): string {
  return [
    `# ${head}`,
    'apiVersion: v2',
    'name: carrel',
    'description: Amazon Bedrock AgentCore Runtime, self-hosted. One isolated pod per agent session.',
    'type: application',
    `version: ${version}`,
    `appVersion: '${version}'`,
    "kubeVersion: '>=1.30.0-0'",
    '',
  ].join('\n')
}
