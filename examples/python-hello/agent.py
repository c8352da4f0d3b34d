import os
import uuid

from bedrock_agentcore import BedrockAgentCoreApp

app = BedrockAgentCoreApp()

# Made once per process: the same in two answers means the same process, with its memory.
boot = str(uuid.uuid4())
calls = 0


@app.entrypoint
def invoke(payload, context):
    global calls
    calls += 1
    name = payload.get("name", "world")
    return {"greeting": f"Hello, {name}!", "call": calls, "boot": boot, "pid": os.getpid(), "sessionId": context.session_id}


if __name__ == "__main__":
    app.run()
