"""The PyPI client `mcp` drives the server: argv is the mode, the server's log, the binary
and its environment as JSON. Prints one JSON report, on which tests/integration/mcp/clients.rs asserts."""

import json
import sys
from pathlib import Path
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.stdio import stdio_client

MODE, LOG, BINARY, ENVIRONMENT = sys.argv[1:5]
DEADLINE = 90


class GetTask(types.Request[types.GetTaskRequestParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"


class Begun(types.Result):
    """What the extension answers a call with instead of its result."""

    result_type: Literal["task"]
    task_id: str
    status: str


class Looked(types.Result):
    status: str
    result: dict[str, Any] | None = None


class Tasks(ClientExtension):
    identifier = "io.modelcontextprotocol/tasks"
    seen: list[str]

    def __init__(self) -> None:
        self.seen = []

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Begun, resolve=self.follow)]

    async def follow(self, begun: Begun, context: ClaimContext) -> types.CallToolResult:
        self.seen.append(begun.status)
        while True:
            request = GetTask(params=types.GetTaskRequestParams(task_id=begun.task_id))
            look = await context.session.send_request(request, Looked)
            if look.result is not None:
                self.seen.append(look.status)
                return types.CallToolResult.model_validate(look.result, by_name=False)
            await anyio.sleep(0.05)


def transport():
    server = StdioServerParameters(command=BINARY, env=json.loads(ENVIRONMENT))
    return stdio_client(server, errlog=open(LOG, "a", encoding="utf-8"))


async def record(matches) -> dict[str, Any]:
    """Waits for a record in the server's log; the test's deadline ends it."""
    while True:
        for line in Path(LOG).read_text(encoding="utf-8").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n") and matches(found := json.loads(line)):
                return found
        await anyio.sleep(0.02)


def arguments(command: str) -> dict[str, str]:
    return {"alias": "one", "command": command}


async def drive() -> dict[str, Any]:
    report: dict[str, Any] = {"asked": []}

    async def elicit(_context, params) -> types.ElicitResult:
        report["asked"].append(params.message)
        return types.ElicitResult(action="accept", content={"approve": True})

    async with Client(transport(), mode=MODE, elicitation_callback=elicit) as client:
        report["protocol"] = client.protocol_version
        report["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        report["run"] = (await client.call_tool("ssh_run", arguments("echo hello"))).structured_content

        progress: list[dict[str, Any]] = []

        async def note(done: float, total: float | None, message: str | None) -> None:
            progress.append({"progress": done, "total": total, "message": message})

        slow = await client.call_tool("ssh_run", arguments("sleep 2.5"), progress_callback=note)
        report["slow"], report["progress"] = slow.structured_content, progress

        with anyio.CancelScope() as scope:

            async def stop(_done: float, _total: float | None, message: str | None) -> None:
                if message and "running" in message:
                    scope.cancel()

            await client.call_tool("ssh_run", arguments("sleep 28.5"), progress_callback=stop)
        report["gave_up"] = scope.cancelled_caught
        report["cancelled"] = await record(lambda r: r.get("type") == "audit" and r["cancelled"])

        report["approved"] = (await client.call_tool("ssh_run", arguments("seq 3"))).structured_content

        begun = (await client.call_tool("ssh_run_async", arguments("echo job"))).structured_content
        job = {"task_id": begun["task_id"]}
        while True:
            status = (await client.call_tool("ssh_get_task_status", job)).structured_content
            if status["status"] not in ("pending", "running", "working"):
                break
            await anyio.sleep(0.05)
        report["job_status"] = status
        report["job"] = (await client.call_tool("ssh_get_task_result", job)).structured_content

    tasks = Tasks()
    async with Client(transport(), mode=MODE, extensions=[tasks]) as client:
        # A handshake cannot carry the extension: there the call is answered with its result.
        result = await client.call_tool("ssh_run", arguments("sleep 3.25"))
        report["task"], report["task_seen"] = result.structured_content, tasks.seen

    # From here on a person has a second, and is slower than that.
    policy = Path(json.loads(ENVIRONMENT)["MCP_SSH_CONFIG_DIR"]) / "policy.yml"
    policy.write_text(policy.read_text(encoding="utf-8") + "approval_seconds: 1\n", encoding="utf-8")

    async def dawdle(_context, params) -> types.ElicitResult:
        report["asked"].append(params.message)
        await anyio.sleep(1.5)
        return types.ElicitResult(action="accept", content={"approve": True})

    async with Client(transport(), mode=MODE, elicitation_callback=dawdle) as client:
        late = await client.call_tool("ssh_run", arguments("seq 4"))
        # An error has its members in the text.
        report["late"] = json.loads(late.content[0].text)
    return report


async def main() -> None:
    with anyio.fail_after(DEADLINE):
        print(json.dumps(await drive()))


anyio.run(main)
