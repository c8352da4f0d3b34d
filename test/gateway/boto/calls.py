"""Calls that boto3 makes and what it makes of the answers, as one JSON object. Arguments: endpoint URL, ARN."""
import json
import sys
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, arn = sys.argv[1:]


def client(**options):
    return boto3.client("bedrock-agentcore", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}), **options)


def error_of(call, **parameters):
    try:
        call(agentRuntimeArn=arn, **parameters)
    except ClientError as error:
        body = error.response
        found = [type(error).__name__, body["ResponseMetadata"]["HTTPStatusCode"]]
        return found + ([body["reason"], body["fieldList"][0]["name"]] if "reason" in body else [])
    return "no error"


agentcore = client()
session = f"test-session-{uuid.uuid4()}"
answer = agentcore.invoke_agent_runtime(
    agentRuntimeArn=arn, runtimeSessionId=session, qualifier="DEFAULT", accountId="000000000000", payload=b'{"a":1}', contentType="application/json",
    accept="application/json", runtimeUserId="someone", traceId="Root=1-67891233-abcdef012345678912345678", traceParent="00-a-b-01", traceState="k=v",
    baggage="user=ada%20l,  x=1", mcpSessionId="mcp",
)
megabyte = agentcore.invoke_agent_runtime(agentRuntimeArn=arn, payload=b"x" * 1_000_000)
print(json.dumps({
    "invoked": [answer["statusCode"], answer["contentType"], answer["response"].read().decode()],
    "megabyte": len(megabyte["response"].read()),
    "stopped": agentcore.stop_runtime_session(agentRuntimeArn=arn, runtimeSessionId=session, clientToken="t" * 33)["statusCode"],
    "unknown": error_of(agentcore.stop_runtime_session, runtimeSessionId=f"ended-{uuid.uuid4()}"),
    "tooLong": error_of(agentcore.invoke_agent_runtime, runtimeSessionId="x" * 257, payload=b"{}"),
    "otherRegion": error_of(client(region_name="eu-west-3").invoke_agent_runtime, payload=b"{}"),
    "otherSecret": error_of(client(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="guess").invoke_agent_runtime, payload=b"{}"),
}))
