import assert from 'node:assert/strict'
import { HelmInstallation } from '../kit/helm-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { onCluster } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'

onCluster(
  'an image as the starter toolkit of bedrock-agentcore makes it is served by an AgentRuntime that names nothing else',
  async (t) => {
    const installation = await HelmInstallation.lend(t)
    const manifest = runtimeManifest('toolkit')
    manifest.spec.artifact = { container: { image: 'carrel-test-toolkit-agent:latest', imagePullPolicy: 'IfNotPresent' } }
    const arn = await installation.apply(manifest)
    const sessionId = newSessionId()
    const answer = await installation.gateway.ask(arn, sessionId, { prompt: 'hello' })
    assert.deepEqual(answer, { user: 'bedrock_agentcore', uid: 1000, sessionId, prompt: 'hello' })
  },
)
