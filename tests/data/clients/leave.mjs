// A TypeScript client lists the tools, runs a command, and leaves while another still runs.
// argv: the directory of its packages, the way (`sdk` is the package before 2.0), the
// server's log, the binary, its environment as JSON. Prints one JSON report.

import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [installed, way, log, binary, environment] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${installed}/node_modules/@modelcontextprotocol/${file}`).href);
const [main, stdio] =
  way === "sdk" ? ["sdk/dist/esm/client/index.js", "sdk/dist/esm/client/stdio.js"] : ["client/dist/index.mjs", "client/dist/stdio.mjs"];
const { Client } = await load(main);
const { StdioClientTransport } = await load(stdio);

const deadline = setTimeout(() => {
  console.error("no end within 60 s");
  process.exit(1);
}, 60_000);

const stderr = fs.openSync(log, "a");
const client = new Client({ name: "tests", version: "1" }, { capabilities: {} });
await client.connect(new StdioClientTransport({ command: binary, env: JSON.parse(environment), stderr }));
const call = (command) => ({ name: "ssh_run", arguments: { alias: "one", command } });
const report = { tools: (await client.listTools()).tools.length };
// Revisions that have nothing structured have it as text.
const said = await client.callTool(call("echo hello"));
report.run = said.structuredContent ?? JSON.parse(said.content[0].text);
const lasts = client.callTool(call("sleep 27.25")).catch(() => {});
// The last piece is a line that is being written, or nothing.
const lines = () => fs.readFileSync(log, "utf8").split("\n").slice(0, -1);
const records = () => lines().filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
const runs = (record) => record.type === "progress" && record.phase === "running" && !record.task_id.includes(`:${report.run.hash}:`);
while (!records().some(runs)) await sleep(20);
await client.close();
await lasts;
clearTimeout(deadline);
console.log(JSON.stringify(report));
