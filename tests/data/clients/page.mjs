// The npm client `@modelcontextprotocol/client`, which opens links: the arguments are the
// installed node_modules' directory, the mode, the server's log, the binary, its environment
// as JSON, and where the operator approves. Prints one JSON report, on which
// tests/integration/tasks/operator_page.rs asserts.

import fs from "node:fs";
import { pathToFileURL } from "node:url";

const [installed, mode, log, binary, environment, desk] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${installed}/node_modules/@modelcontextprotocol/${name}`).href);
const { Client } = await load("client/dist/index.mjs");
const { StdioClientTransport } = await load("client/dist/stdio.mjs");

const deadline = setTimeout(() => {
  console.error("no end within 60 s");
  process.exit(1);
}, 60_000);

const negotiation = mode === "legacy" ? mode : { pin: mode };
const client = new Client(
  { name: "tests", version: "1" },
  { capabilities: { elicitation: { url: {} } }, versionNegotiation: { mode: negotiation } },
);
const report = { links: [], complete: [] };
client.setRequestHandler("elicitation/create", async (request) => {
  report.links.push(request.params);
  return { action: "accept" };
});
client.setNotificationHandler("notifications/elicitation/complete", (notification) => {
  report.complete.push(notification.params.elicitationId);
});
const args = ["--approvals-dir", desk];
const stderr = fs.openSync(log, "a");
await client.connect(new StdioClientTransport({ command: binary, args, env: JSON.parse(environment), stderr }));
const call = { name: "ssh_run", arguments: { alias: "web1", command: "echo  hello" } };
report.run = (await client.callTool(call)).structuredContent;
await client.close();
clearTimeout(deadline);
console.log(JSON.stringify(report));
