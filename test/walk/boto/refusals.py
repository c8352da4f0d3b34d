"""refusals.py JSON: makes each {operation, client, parameters} with boto3 and prints what it raised, as one JSON list. A payload given as a number is that many zero bytes."""
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

answers = []
for call in json.loads(sys.argv[1]):
    client = boto3.client("bedrock-agentcore", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False), **call.get("client", {}))
    parameters = call["parameters"]
    payload = parameters.get("payload")
    if payload is not None:
        parameters["payload"] = bytes(payload) if isinstance(payload, int) else payload.encode()
    try:
        getattr(client, call["operation"])(**parameters)
        answers.append({"class": None})
    except ClientError as error:
        response = error.response
        answers.append(
            {
                "class": type(error).__name__,
                "code": response["Error"]["Code"],
                "message": response["Error"]["Message"],
                "status": response["ResponseMetadata"]["HTTPStatusCode"],
                "requestId": response["ResponseMetadata"].get("RequestId"),
                "reason": response.get("reason"),
                "fields": [field["name"] for field in response.get("fieldList", [])],
            }
        )
print(json.dumps(answers))
