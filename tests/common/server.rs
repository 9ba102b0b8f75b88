//! The real binary, driven over its standard streams as a client would.
//!
//! Owns the process and what it says: every frame is checked against the schema of its
//! revision, every result of a tool against that tool's output schema, every stderr line
//! must be one JSON object, and none may hold a planted secret. What is wrong is
//! collected and fails the test at the next call, or when the server is dropped.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::canary::Canaries;
use super::feed::{DEADLINE, Feed};
use super::schema::{Era, violations};
use super::setup::Setup;

/// How a server is started; the defaults are those of [`Server::start`].
pub(crate) struct Launch {
    pub(crate) era: Era,
    /// Arguments of the program.
    pub(crate) args: Vec<String>,
    /// The client's declared capabilities.
    pub(crate) capabilities: Value,
    /// Whether to go through the handshake of a legacy era.
    pub(crate) handshake: bool,
}

impl Default for Launch {
    fn default() -> Self {
        Launch {
            era: Era::V2025_11_25,
            args: Vec::new(),
            capabilities: json!({}),
            handshake: true,
        }
    }
}

impl Launch {
    pub(crate) fn era(era: Era) -> Self {
        Launch {
            era,
            ..Launch::default()
        }
    }

    pub(crate) fn capabilities(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }

    /// No handshake: the test speaks for itself.
    pub(crate) fn bare(mut self) -> Self {
        self.handshake = false;
        self
    }

    pub(crate) fn start(self, setup: &Setup) -> Server {
        Server::launch(setup, self)
    }
}

/// A running server. Methods take `&self`: threads may share it.
pub(crate) struct Server {
    pub(crate) pid: u32,
    era: Era,
    capabilities: Value,
    stdin: Mutex<Option<ChildStdin>>,
    heard: Arc<Heard>,
    exit: Arc<Feed<ExitStatus>>,
    next_id: AtomicU64,
    output_schemas: OnceLock<HashMap<String, Value>>,
}

/// What a server left behind.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) records: Vec<Value>,
    /// The raw lines of stderr.
    pub(crate) log: String,
}

/// What the reader threads collect.
struct Heard {
    era: Era,
    canaries: Canaries,
    frames: Feed<Value>,
    records: Feed<(Value, String)>,
    faults: Mutex<Vec<String>>,
    /// Open requests: id → method and params, for the type of their result.
    asked: Mutex<HashMap<String, (String, Value)>>,
}

impl Server {
    /// Starts the server and, in 2025-11-25, shakes hands.
    pub(crate) fn start(setup: &Setup) -> Self {
        Launch::default().start(setup)
    }

    fn launch(setup: &Setup, launch: Launch) -> Self {
        let mut command = setup.command();
        command
            .args(&launch.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let heard = Arc::new(Heard {
            era: launch.era,
            canaries: setup.canaries.clone(),
            frames: Feed::default(),
            records: Feed::default(),
            faults: Mutex::default(),
            asked: Mutex::default(),
        });
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let ears = Arc::clone(&heard);
        let out = std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                ears.frame(&line);
            }
            ears.frames.end();
        });
        let ears = Arc::clone(&heard);
        let err = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                ears.record(&line);
            }
            ears.records.end();
        });
        let exit = Arc::new(Feed::default());
        let (pid, stdin, gone) = (child.id(), child.stdin.take(), Arc::clone(&exit));
        std::thread::spawn(move || {
            let status = child.wait().unwrap();
            // Everything it said is in before its end is announced.
            let _ = (out.join(), err.join());
            gone.push(status);
            gone.end();
        });
        let server = Server {
            pid,
            era: launch.era,
            capabilities: launch.capabilities,
            stdin: Mutex::new(stdin),
            heard,
            exit,
            next_id: AtomicU64::new(1),
            output_schemas: OnceLock::new(),
        };
        if launch.handshake && !server.era.is_modern() {
            server.shake_hands();
        }
        server
    }

    fn shake_hands(&self) {
        let params = json!({
            "protocolVersion": self.era.name(),
            "capabilities": self.capabilities,
            "clientInfo": {"name": "tests", "version": "1"},
        });
        let result = self.request("initialize", params);
        assert_eq!(result["protocolVersion"], self.era.name());
        self.notify("notifications/initialized", json!({}));
    }

    pub(crate) fn era(&self) -> Era {
        self.era
    }

    /// Writes bytes as they are.
    pub(crate) fn send_raw(&self, bytes: &[u8]) {
        let mut stdin = self.stdin.lock().unwrap();
        let stdin = stdin.as_mut().expect("standard input is still open");
        if let Err(error) = stdin.write_all(bytes).and_then(|()| stdin.flush()) {
            panic!("the server does not read: {error}\n{}", self.story());
        }
    }

    /// Writes one frame.
    pub(crate) fn send(&self, frame: &Value) {
        if let (Some(id), Some(method)) =
            (frame.get("id"), frame.get("method").and_then(Value::as_str))
        {
            let params = frame.get("params").cloned().unwrap_or(Value::Null);
            self.heard
                .asked
                .lock()
                .unwrap()
                .insert(id.to_string(), (method.to_owned(), params));
        }
        self.send_raw(format!("{frame}\n").as_bytes());
    }

    pub(crate) fn notify(&self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request without waiting, and returns its id.
    pub(crate) fn begin(&self, method: &str, mut params: Value) -> Value {
        let id = json!(self.next_id.fetch_add(1, Ordering::Relaxed));
        if self.era.is_modern() {
            let meta = params
                .as_object_mut()
                .unwrap()
                .entry("_meta")
                .or_insert_with(|| json!({}));
            let meta = meta.as_object_mut().unwrap();
            meta.entry("io.modelcontextprotocol/protocolVersion")
                .or_insert_with(|| json!(self.era.name()));
            meta.entry("io.modelcontextprotocol/clientCapabilities")
                .or_insert_with(|| self.capabilities.clone());
        }
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Waits for the response with this id: the whole frame, `result` or `error`.
    pub(crate) fn response(&self, id: &Value) -> Value {
        self.wait_frame(&format!("a response to request {id}"), |frame| {
            frame.get("method").is_none() && frame.get("id") == Some(id)
        })
    }

    /// Sends a request and waits for its result.
    ///
    /// # Panics
    /// When the answer is an error.
    pub(crate) fn request(&self, method: &str, params: Value) -> Value {
        let frame = self.ask(method, params);
        frame
            .get("result")
            .cloned()
            .unwrap_or_else(|| panic!("{method} was answered {frame}\n{}", self.story()))
    }

    /// Sends a request and waits for its answer, be it a result or an error.
    pub(crate) fn ask(&self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.response(&id)
    }

    /// Sends a request that must fail, and returns the error's code.
    pub(crate) fn error_code(&self, method: &str, params: Value) -> i64 {
        let frame = self.ask(method, params);
        frame["error"]["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("{method} was answered {frame}"))
    }

    /// Calls a tool; the whole result, checked against the tool's output schema.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        let result = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        self.check_tool_result(tool, &result);
        result
    }

    /// Calls a tool without waiting; [`Server::response`] gives the answer.
    pub(crate) fn begin_call(&self, tool: &str, arguments: Value) -> Value {
        self.begin("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool and returns its structured content; where the era has none, the JSON
    /// of its text.
    pub(crate) fn tool(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        structured(&result)
            .unwrap_or_else(|| panic!("{tool} gave nothing structured: {result}\n{}", self.story()))
    }

    /// Calls a tool that must answer with an error, and returns its text.
    pub(crate) fn tool_error(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(
            result["isError"], true,
            "{tool} should have failed: {result}"
        );
        text_of(&result)
    }

    pub(crate) fn run(&self, alias: &str, command: &str) -> Value {
        self.tool("ssh_run", json!({"alias": alias, "command": command}))
    }

    /// Runs a command whose output is shown whole, and returns the id of its task.
    pub(crate) fn run_id(&self, alias: &str, command: &str) -> Value {
        task_of(&self.call("ssh_run", json!({"alias": alias, "command": command})))
    }

    fn check_tool_result(&self, tool: &str, result: &Value) {
        let (Some(content), None) = (
            result.get("structuredContent"),
            result.get("isError").filter(|e| **e == true),
        ) else {
            return;
        };
        let schemas = self.output_schemas.get_or_init(|| {
            let list = self.request("tools/list", json!({}));
            let tools = list["tools"].as_array().unwrap().iter();
            tools
                .filter_map(|t| {
                    Some((
                        t["name"].as_str()?.to_owned(),
                        t.get("outputSchema")?.clone(),
                    ))
                })
                .collect()
        });
        let Some(schema) = schemas.get(tool) else {
            return;
        };
        let mut wrong = violations(schema, content);
        // It lists all that comes: a member that nobody was told of is found by luck only.
        let members = content.as_object().into_iter().flatten();
        let unlisted = members.filter(|(name, _)| schema["properties"].get(name).is_none());
        wrong.extend(unlisted.map(|(name, _)| format!("{name} is not listed")));
        assert!(
            wrong.is_empty(),
            "{tool} breaks its own output schema: {wrong:?}\n{content}"
        );
    }

    /// Waits for a frame, those already there included. `what` names it if it never comes.
    pub(crate) fn wait_frame(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let found = self
            .heard
            .frames
            .wait(0, DEADLINE, |frame| is_it(frame).then(|| frame.clone()));
        let found = found.unwrap_or_else(|| panic!("no {what}\n{}", self.story()));
        self.check();
        found
    }

    /// Waits for a log record, those already there included.
    pub(crate) fn wait_record(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let found = self.heard.records.wait(0, DEADLINE, |(record, _)| {
            is_it(record).then(|| record.clone())
        });
        let found = found.unwrap_or_else(|| panic!("no {what} on the record\n{}", self.story()));
        self.check();
        found
    }

    /// Waits for a record with this `type` (or, without one, this `msg`).
    pub(crate) fn wait_type(&self, name: &str) -> Value {
        self.wait_record(name, |record| {
            record["type"] == name || record["event_type"] == name || record["msg"] == name
        })
    }

    /// All frames so far.
    pub(crate) fn frames(&self) -> Vec<Value> {
        self.heard.frames.all()
    }

    /// All log records so far.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.heard
            .records
            .all()
            .into_iter()
            .map(|(record, _)| record)
            .collect()
    }

    /// The lines of stderr so far.
    pub(crate) fn log(&self) -> String {
        self.heard
            .records
            .all()
            .into_iter()
            .map(|(_, line)| line + "\n")
            .collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid.cast_signed()), signal).unwrap();
    }

    pub(crate) fn is_running(&self) -> bool {
        self.exit.len() == 0
    }

    /// Closes the server's standard input.
    pub(crate) fn close_stdin(&self) {
        self.stdin.lock().unwrap().take();
    }

    /// Waits for the exit of a server that was told to end some other way.
    pub(crate) fn wait_exit(&self) -> ExitStatus {
        let status = self.exit.wait(0, DEADLINE, |status| Some(*status));
        status.unwrap_or_else(|| panic!("the server does not end\n{}", self.story()))
    }

    /// Ends the server by the end of its input, and returns what it left.
    pub(crate) fn finish(self) -> Finished {
        self.close_stdin();
        let status = self.wait_exit();
        self.check();
        Finished {
            status,
            records: self.records(),
            log: self.log(),
        }
    }

    fn check(&self) {
        let faults = self.heard.faults.lock().unwrap();
        assert!(
            faults.is_empty(),
            "what the server said is wrong:\n{}",
            faults.join("\n")
        );
    }

    /// What was said so far, for the message of a failed wait.
    fn story(&self) -> String {
        let exit = self
            .exit
            .wait(0, Duration::ZERO, |status| Some(format!("{status}")));
        let frames = self.frames();
        let last: Vec<String> = frames
            .iter()
            .rev()
            .take(8)
            .rev()
            .map(Value::to_string)
            .collect();
        format!(
            "--- last frames\n{}\n--- log\n{}--- faults {:?}\n--- {}",
            last.join("\n"),
            self.log(),
            self.heard.faults.lock().unwrap(),
            exit.unwrap_or_else(|| "still running".into())
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close_stdin();
        let ended = self
            .exit
            .wait(0, Duration::from_secs(10), |status| Some(status.signal()));
        if ended.is_none() {
            let _ = killpg(Pid::from_raw(self.pid.cast_signed()), Signal::SIGKILL);
        }
        if !std::thread::panicking() {
            assert!(
                ended.is_some(),
                "the server did not end with its input\n{}",
                self.story()
            );
            self.check();
        }
    }
}

impl Heard {
    fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    fn search(&self, stream: &str, line: &str) {
        if let Some(secret) = self.canaries.found_in(line) {
            self.fault(format!("{stream} holds the secret {secret:?}: {line}"));
        }
    }

    fn record(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        self.search("stderr", &text);
        match serde_json::from_slice::<Value>(line) {
            Ok(record) if record.is_object() => {
                let kind = record["type"].as_str().unwrap_or_default();
                let leads = ["policy_decision", "audit", "progress", "trace"].contains(&kind);
                if leads && !text.starts_with(&format!("{{\"type\":\"{kind}\"")) {
                    self.fault(format!("`type` must come first, without blanks: {text}"));
                }
                self.records.push((record, text));
            }
            _ => {
                self.fault(format!("stderr line is not a JSON object: {text}"));
                self.records.push((Value::Null, text));
            }
        }
    }

    fn frame(&self, line: &[u8]) {
        self.search("stdout", &String::from_utf8_lossy(line));
        if line.ends_with(b"\r") {
            self.fault("stdout line ends in CR LF".into());
        }
        match serde_json::from_slice::<Value>(line) {
            Ok(Value::Array(batch)) => {
                self.must_be("JSONRPCMessage", &Value::Array(batch.clone()));
                batch.into_iter().for_each(|frame| self.single(frame));
            }
            Ok(frame) => {
                self.must_be("JSONRPCMessage", &frame);
                self.single(frame);
            }
            Err(error) => self.fault(format!(
                "stdout line is not JSON ({error}): {}",
                String::from_utf8_lossy(line)
            )),
        }
    }

    fn single(&self, frame: Value) {
        match (frame.get("method"), frame.get("id")) {
            (Some(method), None) if self.era.is_modern() && method == "notifications/tasks" => {
                self.task_notice(&frame["params"]);
            }
            (Some(_), None) => self.must_be("ServerNotification", &frame),
            (Some(_), Some(_)) if self.era.is_modern() => {
                self.fault(format!("a request from a modern server: {frame}"))
            }
            (Some(_), Some(_)) => self.must_be("ServerRequest", &frame),
            (None, Some(id)) => {
                let asked = self.asked.lock().unwrap().remove(&id.to_string());
                if let (Some((method, params)), Some(result)) = (asked, frame.get("result"))
                    && let Some(name) = self.era.result_type(&method, &params, result)
                {
                    self.must_be(name, result);
                }
            }
            // What a server that does not start says where nothing was asked.
            (None, None) if frame.get("error").is_some() => {}
            (None, None) => self.fault(format!("a frame that is nothing: {frame}")),
        }
        self.frames.push(frame);
    }

    /// The tasks extension has no schema of its own here: its members are those of the
    /// core of 2025-11-25 under two other names, and the result is that of the call.
    fn task_notice(&self, task: &Value) {
        let mut core = task.clone();
        for (new, old) in [("ttlMs", "ttl"), ("pollIntervalMs", "pollInterval")] {
            core[old] = task[new].clone();
        }
        let wrong = Era::V2025_11_25.check("Task", &core);
        if !wrong.is_empty() || task["_meta"]["io.modelcontextprotocol/subscriptionId"].is_null() {
            self.fault(format!("not a notice of a task: {wrong:?} {task}"));
        }
        if task["status"] == "completed" {
            self.must_be("CallToolResult", &task["result"]);
        }
    }

    fn must_be(&self, type_name: &str, value: &Value) {
        let wrong = self.era.check(type_name, value);
        if !wrong.is_empty() {
            self.fault(format!(
                "not a {type_name} of {}: {}\n  {value}",
                self.era.name(),
                wrong.join("; ")
            ));
        }
    }
}

/// The structured content of a tool's result, or the JSON of its first text.
pub(crate) fn structured(result: &Value) -> Option<Value> {
    let content = result.get("structuredContent").cloned();
    content.or_else(|| serde_json::from_str(result["content"][0]["text"].as_str()?).ok())
}

/// The members of a tool's result, wherever it has them: an error has them in its text.
pub(crate) fn members(result: &Value) -> Value {
    structured(result).unwrap_or_default()
}

/// The id of the task behind a tool's result, as programs have it.
pub(crate) fn task_of(result: &Value) -> Value {
    let id = &result["_meta"]["io.github.mcp-ssh-orchestrator/task_id"];
    assert!(id.is_string(), "no task: {result}");
    id.clone()
}

/// All text of a tool's result.
pub(crate) fn text_of(result: &Value) -> String {
    let parts = result["content"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    parts
        .iter()
        .filter_map(|part| part["text"].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The `type` of each record, in order, for tests of a sequence.
pub(crate) fn record_types(records: &[Value]) -> Vec<String> {
    records
        .iter()
        .map(|record| record["type"].as_str().unwrap_or_default().to_owned())
        .collect()
}
