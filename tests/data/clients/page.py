"""The PyPI client `mcp`, which opens links: argv is the mode, the server's log, the binary, its
environment as JSON, and where the operator approves. Prints one JSON report, on which
tests/integration/tasks/operator_page.rs asserts."""

import json
import sys
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

MODE, LOG, BINARY, ENVIRONMENT, DESK = sys.argv[1:6]
DEADLINE = 60


async def main() -> None:
    report: dict[str, Any] = {"links": [], "complete": []}

    async def elicit(_context, params) -> types.ElicitResult:
        report["links"].append(params.model_dump(by_alias=True, mode="json", exclude_none=True))
        return types.ElicitResult(action="accept")

    async def hear(message) -> None:
        if isinstance(message, types.ElicitCompleteNotification):
            report["complete"].append(message.params.elicitation_id)

    server = StdioServerParameters(command=BINARY, args=["--approvals-dir", DESK], env=json.loads(ENVIRONMENT))
    transport = stdio_client(server, errlog=open(LOG, "a", encoding="utf-8"))
    with anyio.fail_after(DEADLINE):
        async with Client(transport, mode=MODE, elicitation_callback=elicit, message_handler=hear) as client:
            call = {"alias": "web1", "command": "echo  hello"}
            report["run"] = (await client.call_tool("ssh_run", call)).structured_content
    print(json.dumps(report))


anyio.run(main)
