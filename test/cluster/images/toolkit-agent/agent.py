import getpass
import os

from bedrock_agentcore import BedrockAgentCoreApp

app = BedrockAgentCoreApp()


@app.entrypoint
def invoke(payload, context):
    return {"user": getpass.getuser(), "uid": os.getuid(), "sessionId": context.session_id, "prompt": payload.get("prompt")}


if __name__ == "__main__":
    app.run()
