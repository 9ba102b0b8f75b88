"""Gives the list of tools to the converters of the vendors' packages, which refuse what their
models do not take. argv is the binary and its environment as JSON. Prints a JSON object:
package → how many tools it took; tests/integration/mcp/clients.rs asserts on it."""

import copy
import json
import subprocess
import sys

from google.genai import types as genai
from langchain_core.tools import StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from mcp_types import Tool
from google.genai._mcp_utils import mcp_to_gemini_tools
from openai.lib._pydantic import _ensure_strict_json_schema
from pydantic_ai.profiles.google import GoogleJsonSchemaTransformer
from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer

BINARY, ENVIRONMENT = sys.argv[1:3]


def listed() -> list[dict]:
    frames = [
        {"id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list", "params": {}},
    ]
    server = subprocess.Popen([BINARY], env=json.loads(ENVIRONMENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with server:
        assert server.stdin and server.stdout
        for frame in frames:
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **frame}) + "\n")
        server.stdin.flush()
        for line in server.stdout:
            frame = json.loads(line)
            if frame.get("id") == 2:
                server.stdin.close()
                return frame["result"]["tools"]
    raise SystemExit("no list of tools")


tools = listed()
taken: dict[str, int] = {}


def took(package: str) -> None:
    taken[package] = taken.get(package, 0) + 1


for tool in tools:
    schema = tool["inputSchema"]
    name, description = tool["name"], tool["description"]

    converted = mcp_to_gemini_tools([Tool.model_validate(tool)])
    assert converted, name
    genai.FunctionDeclaration(name=name, description=description, parameters=genai.Schema.from_json_schema(json_schema=genai.JSONSchema.model_validate(schema)))
    took("google-genai")

    # What the API takes as it is, and the form that its package makes for strict calls.
    assert schema["type"] == "object" and "properties" in schema, name
    took("openai")
    strict = _ensure_strict_json_schema(copy.deepcopy(schema), path=(), root=schema)
    assert strict["additionalProperties"] is False, name
    took("openai-strict")

    # Anthropic's rules for names and schemas of tools.
    assert 1 <= len(name) <= 64 and name.replace("_", "a").replace("-", "a").isalnum(), name
    assert not {"anyOf", "oneOf", "allOf"} & set(schema), name
    took("anthropic")

    made = StructuredTool(name=name, description=description, args_schema=schema, func=lambda **_: None)
    function = convert_to_openai_tool(made)["function"]
    assert function["parameters"].get("required", []) == schema.get("required", []), name
    took("langchain")

    for transformer in (OpenAIJsonSchemaTransformer, GoogleJsonSchemaTransformer):
        for is_strict in (True, False):
            transformer(copy.deepcopy(schema), strict=is_strict).walk()
    took("pydantic-ai")

print(json.dumps(taken))
