import { randomUUID } from 'node:crypto'
import { BedrockAgentCoreApp } from 'bedrock-agentcore/runtime'

/** Made once per process: the same in two answers means the same process, with its memory. */
const boot = randomUUID()
let calls = 0

const app = new BedrockAgentCoreApp({
  invocationHandler: {
    process: (request, context) => {
      calls += 1
      const { name = 'world' } = (request ?? {}) as { name?: string }
      return { greeting: `Hello, ${name}!`, call: calls, boot, sessionId: context.sessionId }
    },
  },
})

app.run()
