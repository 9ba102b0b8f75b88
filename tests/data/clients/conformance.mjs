// Streamable HTTP for the official conformance suite, which speaks nothing else: a test-only
// adapter in front of the server's stdio. It owns what HTTP adds (sessions, streams, status
// codes, headers) and the names of the suite's fixtures, which it puts onto this server's
// tools, resources and prompts; every result is the server's own.
// argv: the binary, its environment as JSON, the server's log. Prints its address.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import readline from "node:readline";

const [binary, environment, log] = process.argv.slice(2);
const stderr = fs.openSync(log, "a");

const run = (command) => ({ name: "ssh_run", arguments: { alias: "123", command } });
const asks = run("seq 3");
const TOOLS = {
  test_simple_text: run("echo hello"),
  test_error_handling: run("id"),
  test_tool_with_progress: run("sleep 2.5"),
  test_tool_with_logging: run("echo hello"),
  test_logging_tool: run("echo hello"),
  test_elicitation: asks,
  test_streaming_elicitation: asks,
  test_input_required_result_elicitation: asks,
  test_input_required_result_request_state: asks,
  test_input_required_result_tampered_state: asks,
};
const RESOURCES = {
  "test://static-text": "ssh://hosts",
  "test://template/123/data": "ssh://host/123",
  "test://watched-resource": "ssh://hosts",
};
const PROMPTS = {
  test_simple_prompt: ["ssh_orchestrator_usage", {}],
  test_prompt_with_arguments: ["ssh_policy_denied_guidance", { arg1: "alias", arg2: "command" }],
};
// The suite's own name for a question, and the only answer that this server asks for.
const QUESTION = "user_name";

/** The suite's request as this server knows it; where it asks for nothing that is here, as it is. */
function inward(message) {
  const { method, params } = message;
  if (!params) return message;
  // What needs a capability that was not declared: here, a method of the tasks extension.
  if (params.name === "test_missing_capability") return { ...message, method: "tasks/get", params: { _meta: params._meta, taskId: "x" } };
  if (method === "tools/call" && TOOLS[params.name]) {
    const mapped = { ...params, ...TOOLS[params.name] };
    if (params.inputResponses) {
      const responses = Object.entries(params.inputResponses).map(([key, value]) => {
        const content = value?.action === "accept" && typeof value.content?.name === "string" ? { approve: true } : value?.content;
        return [key === QUESTION ? "approval" : key, content ? { ...value, content } : value];
      });
      mapped.inputResponses = Object.fromEntries(responses);
    }
    return { ...message, params: mapped };
  }
  if (RESOURCES[params.uri]) return { ...message, params: { ...params, uri: RESOURCES[params.uri] } };
  const name = method === "completion/complete" ? params.ref?.name : params.name;
  const prompt = PROMPTS[name];
  if (prompt && method === "prompts/get") {
    const given = Object.entries(params.arguments ?? {}).map(([key, value]) => [prompt[1][key] ?? key, value]);
    return { ...message, params: { ...params, name: prompt[0], arguments: Object.fromEntries(given) } };
  }
  if (prompt && method === "completion/complete") {
    return { ...message, params: { ...params, ref: { ...params.ref, name: prompt[0] } } };
  }
  return message;
}

/** One process of the server, whose requests get ids that no two clients share. */
class Server {
  constructor() {
    this.waiting = new Map();
    this.count = 0;
    this.streams = new Set();
    this.child = spawn(binary, [], { env: JSON.parse(environment), stdio: ["pipe", "pipe", stderr] });
    readline.createInterface({ input: this.child.stdout }).on("line", (line) => this.outward(JSON.parse(line)));
  }

  send(message) {
    this.child.stdin.write(JSON.stringify({ ...message, jsonrpc: "2.0" }) + "\n");
  }

  /** Sends a request; what comes of it goes to `stream`. */
  ask(message, stream) {
    const id = ++this.count;
    this.waiting.set(id, { id: message.id, stream, token: message.params?._meta?.progressToken });
    stream.onGone(() => {
      if (this.waiting.delete(id)) this.send({ method: "notifications/cancelled", params: { requestId: id } });
    });
    this.send({ ...inward(message), id });
  }

  outward(frame) {
    if (frame.method === undefined) {
      const waiting = this.waiting.get(frame.id);
      this.waiting.delete(frame.id);
      // The suite calls a fixture for logging only where it is listed.
      const tools = frame.result?.tools;
      if (tools) tools.push({ ...tools.find((tool) => tool.name === "ssh_run"), name: "test_logging_tool", outputSchema: undefined });
      const asked = frame.result?.inputRequests;
      if (asked) frame.result.inputRequests = { [QUESTION]: asked.approval };
      return waiting?.stream.end({ ...frame, id: waiting.id });
    }
    const { progressToken: token, _meta: meta } = frame.params ?? {};
    const subscription = meta?.["io.modelcontextprotocol/subscriptionId"];
    const all = [...this.waiting.entries()];
    const owner = all.find(([id, one]) => (token !== undefined && one.token === token) || (subscription !== undefined && String(id) === String(subscription)));
    if (owner && subscription !== undefined) {
      meta["io.modelcontextprotocol/subscriptionId"] = owner[1].id;
    }
    const stream = owner?.[1].stream ?? all[0]?.[1].stream ?? [...this.streams][0];
    stream?.event(frame);
  }

  end() {
    this.child.stdin.end();
  }
}

/** The answer to one POST: a stream of events as soon as there is more than a result. */
class Stream {
  constructor(response, modern) {
    Object.assign(this, { response, modern, open: false, done: false });
  }
  onGone(act) {
    this.response.on("close", () => this.done || act());
  }
  event(frame) {
    if (!this.open) {
      this.open = true;
      this.response.writeHead(200, { "content-type": "text/event-stream", ...this.headers });
    }
    this.response.write(`event: message\ndata: ${JSON.stringify(frame)}\n\n`);
  }
  end(frame) {
    this.done = true;
    if (this.open) {
      this.event(frame);
      return this.response.end();
    }
    const code = frame.error?.code;
    const status = !this.modern || code === undefined ? 200 : code === -32601 ? 404 : 400;
    this.response.writeHead(status, { "content-type": "application/json", ...this.headers });
    this.response.end(JSON.stringify(frame));
  }
}

const sessions = new Map();
const shared = new Server();

const refuse = (response, status, message, extra = {}) => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", ...extra, error: { code: -32600, message } }));
};

/** The modern revision has its claims in the headers too, and they must agree. */
function headersDisagree(request, message) {
  const version = message.params?._meta?.["io.modelcontextprotocol/protocolVersion"];
  if (message.method === undefined || version === undefined) return null;
  const name = message.params?.name ?? message.params?.uri;
  const wrong =
    request.headers["mcp-protocol-version"] !== version ||
    request.headers["mcp-method"] !== message.method ||
    (["tools/call", "prompts/get", "resources/read"].includes(message.method) && name !== undefined && request.headers["mcp-name"] !== name);
  return wrong ? { code: -32020, message: "Headers and body disagree" } : null;
}

async function post(request, response) {
  let body = "";
  for await (const piece of request) body += piece;
  let message;
  try {
    message = JSON.parse(body);
  } catch {
    return refuse(response, 400, "not JSON");
  }
  const modern = request.headers["mcp-protocol-version"] === "2026-07-28" && request.headers["mcp-method"] !== undefined;
  const claims = message.params?._meta?.["io.modelcontextprotocol/protocolVersion"] !== undefined || modern;
  const session = request.headers["mcp-session-id"];
  const id = message.id;
  const stream = new Stream(response, claims);
  let server = shared;
  if (!claims) {
    if (message.method === "initialize" && !session) {
      const key = randomUUID();
      sessions.set(key, (server = new Server()));
      stream.headers = { "mcp-session-id": key };
    } else if (!session && message.id !== undefined && message.method) {
      // Nothing said which revision it is: the server says what it needs to know.
      stream.modern = true;
    } else if (!(server = sessions.get(session))) {
      return refuse(response, session ? 404 : 400, "no such session", { id });
    }
  }
  const disagree = headersDisagree(request, message);
  if (disagree) {
    response.writeHead(400, { "content-type": "application/json" });
    return response.end(JSON.stringify({ jsonrpc: "2.0", id, error: disagree }));
  }
  if (message.id === undefined || message.method === undefined) {
    server.send(inward(message));
    response.writeHead(202);
    return response.end();
  }
  server.ask(message, stream);
}

const listening = http.createServer((request, response) => {
  // A page that was opened in a browser is none of its clients.
  const host = (request.headers.host ?? "").replace(/:\d+$/, "");
  const origin = request.headers.origin && new URL(request.headers.origin).hostname;
  const local = (name) => ["localhost", "127.0.0.1", "[::1]"].includes(name);
  if (!local(host) || (origin && !local(origin))) return refuse(response, 403, "not from here");
  const session = sessions.get(request.headers["mcp-session-id"]);
  if (request.method === "POST") return post(request, response);
  if (request.method === "GET" && session) {
    const stream = new Stream(response, false);
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    stream.open = true;
    session.streams.add(stream);
    return response.on("close", () => session.streams.delete(stream));
  }
  if (request.method === "DELETE" && session) {
    session.end();
    sessions.delete(request.headers["mcp-session-id"]);
    response.writeHead(204);
    return response.end();
  }
  response.writeHead(405, { allow: "POST" });
  response.end();
});
listening.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${listening.address().port}/mcp`));
process.on("SIGTERM", () => process.exit(0));
