// The npm client `@modelcontextprotocol/client` drives the server: the arguments are the
// installed node_modules' directory, the mode, the server's log, the binary and its
// environment as JSON. Prints one JSON report, on which tests/integration/mcp/clients.rs asserts.

import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [installed, mode, log, binary, environment] = process.argv.slice(2);
// This file stands in the source tree, the packages do not.
const load = (name) => import(pathToFileURL(`${installed}/node_modules/@modelcontextprotocol/${name}`).href);
const { Client } = await load("client/dist/index.mjs");
const { StdioClientTransport } = await load("client/dist/stdio.mjs");
const { createTaskSessionFromClient, resultFromTaskOutcome, toolDeclarationFromMcpTool } = await load(
  "ext-tasks/dist/client/index.js",
);

const deadline = setTimeout(() => {
  console.error("no end within 90 s");
  process.exit(1);
}, 90_000);

const negotiation = mode === "legacy" || mode === "auto" ? mode : { pin: mode };
const call = (command) => ({ name: "ssh_run", arguments: { alias: "one", command } });
const report = { asked: [] };

async function connect(capabilities, answerAfter = 0) {
  const client = new Client(
    { name: "tests", version: "1" },
    { capabilities, versionNegotiation: { mode: negotiation } },
  );
  const stderr = fs.openSync(log, "a");
  const transport = new StdioClientTransport({ command: binary, env: JSON.parse(environment), stderr });
  if (capabilities.elicitation) {
    client.setRequestHandler("elicitation/create", async (request) => {
      report.asked.push(request.params.message);
      await sleep(answerAfter);
      return { action: "accept", content: { approve: true } };
    });
  }
  await client.connect(transport);
  return [client, transport];
}

/**
 * Requests beside the client on its own connection, with string ids, which it never uses:
 * its reader takes no answer that is a task, and its tasks package asks for such a path.
 */
function beside(transport) {
  const waiting = new Map();
  const toClient = transport.onmessage;
  transport.onmessage = (message, extra) => {
    const answer = message.method === undefined && waiting.get(message.id);
    if (!answer) return toClient(message, extra);
    waiting.delete(message.id);
    answer(message.error ? { kind: "error", error: message.error } : { kind: "result", result: message.result });
  };
  let count = 0;
  return (request) =>
    new Promise((answer, fail) => {
      const id = `beside-${++count}`;
      waiting.set(id, answer);
      transport.send({ jsonrpc: "2.0", ...request, id }).catch(fail);
    });
}

/** Waits for a record in the server's log; the deadline ends it. */
async function record(matches) {
  for (;;) {
    const whole = fs.readFileSync(log, "utf8").split("\n").slice(0, -1);
    const found = whole.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)).find(matches);
    if (found) return found;
    await sleep(20);
  }
}

const [client] = await connect({ elicitation: {} });
report.protocol = client.getNegotiatedProtocolVersion();
report.tools = (await client.listTools()).tools.map((tool) => tool.name);
report.run = (await client.callTool(call("echo hello"))).structuredContent;

report.progress = [];
const slow = await client.callTool(call("sleep 2.5"), { onprogress: (step) => report.progress.push(step) });
report.slow = slow.structuredContent;

const stop = new AbortController();
const onprogress = (step) => step.message?.includes("running") && stop.abort("enough");
report.gave_up = await client
  .callTool(call("sleep 28.5"), { signal: stop.signal, onprogress })
  .then(() => false, () => stop.signal.aborted);
report.cancelled = await record((line) => line.type === "audit" && line.cancelled);

report.approved = (await client.callTool(call("seq 3"))).structuredContent;

const begun = await client.callTool({ ...call("echo job"), name: "ssh_run_async" });
const job = { task_id: begun.structuredContent.task_id };
do {
  await sleep(50);
  report.job_status = (await client.callTool({ name: "ssh_get_task_status", arguments: job })).structuredContent;
} while (["pending", "running", "working"].includes(report.job_status.status));
report.job = (await client.callTool({ name: "ssh_get_task_result", arguments: job })).structuredContent;
await client.close();

const [second, transport] = await connect({});
const tools = (await second.listTools()).tools;
const modern = second.getProtocolEra() === "modern" && {
  rawDispatch: beside(transport),
  v2RequestFraming: {
    protocolVersion: report.protocol,
    clientInfo: { name: "tests", version: "1" },
    clientCapabilities: {},
  },
};
const session = createTaskSessionFromClient(second, { endpointId: "tests", ...modern });
const execution = await session.callTool("ssh_run", call("sleep 3.25").arguments, {
  declaration: toolDeclarationFromMcpTool(tools.find((tool) => tool.name === "ssh_run")),
  // The modern server decides by itself what becomes a task.
  task: { preference: modern ? "allow" : "require" },
});
const { outcome } = await execution.settle();
report.task_seen = [execution.kind, outcome.status];
report.task = resultFromTaskOutcome(outcome).structuredContent;
await session.close();
await second.close();

// From here on a person has a second, and is slower than that.
fs.appendFileSync(`${JSON.parse(environment).MCP_SSH_CONFIG_DIR}/policy.yml`, "approval_seconds: 1\n");
const [third] = await connect({ elicitation: {} }, 1500);
// An error has its members in the text.
report.late = JSON.parse((await third.callTool(call("seq 4"))).content[0].text);
await third.close();

clearTimeout(deadline);
console.log(JSON.stringify(report));
