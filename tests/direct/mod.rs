//! The SSH layer without the server around it: a configuration on disk, a client, and a
//! sink that keeps what it is given.
//!
//! For promises about one run that the tools do not show in full (phases, errors' causes,
//! reuse). The promises that a user sees are shown by the binary, in the same files.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test binary uses its own part, and a failed step is a failed test"
)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mcp_ssh_orchestrator::testing::config::{self, Dirs, Environment, Links, Snapshot};
use mcp_ssh_orchestrator::testing::model::names::{CommandText, HostAlias};
use mcp_ssh_orchestrator::testing::policy::{Authorised, Subject, Verdict};
use mcp_ssh_orchestrator::testing::ssh::{
    Cancel, Clearance, Client, Control, Deadline, Flow, Job, RunReport, Sink, SshError, Stage,
};

use crate::common::Setup;

/// Nothing changes while these runs are made.
pub(crate) struct Always;

impl Clearance for Always {
    fn send(&self, send: &mut dyn FnMut()) -> bool {
        send();
        true
    }
}

/// The configuration that allowed the command is gone when it is to be sent.
struct Gone;

impl Clearance for Gone {
    fn send(&self, _: &mut dyn FnMut()) -> bool {
        false
    }
}

/// A client with the configuration it was made with.
#[derive(Clone)]
pub(crate) struct Direct {
    pub(crate) client: Client,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// One run to be made.
pub(crate) struct Order {
    pub(crate) alias: String,
    pub(crate) command: String,
    pub(crate) deadline: Duration,
    /// Bytes after which the sink says stop.
    pub(crate) cap: usize,
    /// Bytes after which the sink tells [`Running::wait_output`].
    pub(crate) cancel: Cancel,
}

/// A finished run.
pub(crate) struct Ran {
    pub(crate) report: RunReport,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) stages: Vec<Stage>,
}

/// A run on a thread of its own.
pub(crate) struct Running {
    pub(crate) cancel: Cancel,
    events: Receiver<Event>,
    thread: JoinHandle<Ran>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Stage(Stage),
    Output,
}

impl Direct {
    pub(crate) fn of(setup: &Setup) -> Self {
        Self::with_agent(setup, None)
    }

    pub(crate) fn with_agent(setup: &Setup, agent: Option<std::path::PathBuf>) -> Self {
        Direct {
            client: Client::new(agent),
            snapshot: load(setup),
        }
    }

    /// The same client after a reload.
    pub(crate) fn reload(&mut self, setup: &Setup) {
        self.snapshot = load(setup);
        self.client.drop_sessions();
    }

    pub(crate) fn authorise(&self, alias: &str, command: &str) -> Authorised {
        let alias = HostAlias::parse(alias).unwrap();
        let host = self.snapshot.host(&alias).unwrap();
        let subject = Subject {
            alias: &host.alias,
            tags: &host.tags,
            shell: host.shell,
            detached: false,
            stdin: None,
        };
        let text = CommandText::parse(command).unwrap();
        match self.snapshot.policy().judge(&subject, &text) {
            Verdict::Allow(authorised) => authorised,
            other => panic!("{command:?} is not allowed: {other:?}"),
        }
    }

    /// Runs with time to spare.
    pub(crate) fn run(&self, alias: &str, command: &str) -> Ran {
        self.order(order(alias, command))
    }

    pub(crate) fn order(&self, order: Order) -> Ran {
        self.order_with(order, channel().0)
    }

    pub(crate) fn begin(&self, order: Order) -> Running {
        let (tell, events) = channel();
        let cancel = order.cancel.clone();
        let direct = self.clone();
        let thread = thread::spawn(move || direct.order_with(order, tell));
        Running {
            cancel,
            events,
            thread,
        }
    }

    /// A run that a reload overtakes in the last moment.
    pub(crate) fn refused(&self, alias: &str, command: &str) -> Ran {
        self.make(order(alias, command), channel().0, &Gone)
    }

    fn order_with(&self, order: Order, tell: Sender<Event>) -> Ran {
        self.make(order, tell, &Always)
    }

    fn make(&self, order: Order, tell: Sender<Event>, clearance: &dyn Clearance) -> Ran {
        let command = self.authorise(&order.alias, &order.command);
        let host = self.snapshot.host(command.alias()).unwrap();
        let job = Job {
            source: None,
            snapshot: &self.snapshot,
            host,
            command: &command,
            clearance,
        };
        let control = Control::new(Deadline::after(order.deadline), order.cancel);
        let mut keep = Keep {
            stdout: Vec::new(),
            stderr: Vec::new(),
            stages: Vec::new(),
            cap: order.cap,
            tell: Mutex::new(tell),
        };
        let report = self.client.run(&job, &control, &mut keep);
        Ran {
            report,
            stdout: keep.stdout,
            stderr: keep.stderr,
            stages: keep.stages,
        }
    }
}

pub(crate) fn order(alias: &str, command: &str) -> Order {
    Order {
        alias: alias.into(),
        command: command.into(),
        deadline: Duration::from_secs(30),
        cap: usize::MAX,
        cancel: Cancel::new().unwrap(),
    }
}

pub(crate) fn load(setup: &Setup) -> Arc<Snapshot> {
    let dirs = Dirs::open(&setup.config, &setup.keys, &setup.secrets, Links::Refused);
    let environment = Environment::from_variables([]);
    match config::load(&Arc::new(dirs), &environment) {
        Ok(loaded) => Arc::new(loaded.snapshot),
        Err(error) => panic!("{}", error.for_operator()),
    }
}

impl Running {
    /// Waits until the run says this (or has ended).
    pub(crate) fn wait(&self, wanted: &Event) {
        while let Ok(event) = self.events.recv_timeout(Duration::from_secs(20)) {
            if event == *wanted {
                return;
            }
        }
    }

    pub(crate) fn join(self) -> Ran {
        self.thread.join().unwrap()
    }
}

impl Ran {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &SshError {
        self.report
            .error
            .as_ref()
            .unwrap_or_else(|| panic!("no error: {:?}, {}", self.report, self.out()))
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> &Self {
        assert!(self.report.error.is_none(), "{:?}", self.report);
        self
    }
}

struct Keep {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    stages: Vec<Stage>,
    cap: usize,
    tell: Mutex<Sender<Event>>,
}

impl Keep {
    fn say(&self, event: Event) {
        let _ = self.tell.lock().unwrap().send(event);
    }

    fn flow(&self) -> Flow {
        self.say(Event::Output);
        if self.stdout.len() + self.stderr.len() >= self.cap {
            Flow::Stop
        } else {
            Flow::Continue
        }
    }
}

impl Sink for Keep {
    fn stage(&mut self, stage: Stage) {
        self.stages.push(stage);
        self.say(Event::Stage(stage));
    }

    fn stdout(&mut self, bytes: &[u8]) -> Flow {
        self.stdout.extend_from_slice(bytes);
        self.flow()
    }

    fn stderr(&mut self, bytes: &[u8]) -> Flow {
        self.stderr.extend_from_slice(bytes);
        self.flow()
    }
}
