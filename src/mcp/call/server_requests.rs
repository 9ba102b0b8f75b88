//! Requests of ours to a legacy client, until it answers them.
//!
//! Owns their ids and who waits for which answer. An answer nobody waits for is ignored:
//! a client can send what it likes. Called by `connection` for responses, and by `approval`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::Value;

use crate::mcp::wire::message::RequestId;

/// A client's answer; `Err` for an error.
pub(crate) type Reply = Result<Value, Value>;

/// The questions without an answer.
#[derive(Default)]
pub(crate) struct Questions {
    waiting: Mutex<HashMap<RequestId, Sender<Reply>>>,
    next: AtomicU64,
}

impl Questions {
    /// A new question's id, and where its answer will come. The other end is dropped
    /// when the client is gone.
    pub(crate) fn open(&self) -> (RequestId, Receiver<Reply>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = RequestId::Text(format!("question-{number}").into());
        let (sender, receiver) = bounded(1);
        self.lock().insert(id.clone(), sender);
        (id, receiver)
    }

    /// Takes an answer in.
    pub(crate) fn settle(&self, id: &RequestId, reply: Reply) {
        if let Some(sender) = self.lock().remove(id) {
            // Nobody may be waiting any more; that is the asker's business.
            let _ = sender.send(reply);
        }
    }

    /// Takes a question back.
    pub(crate) fn forget(&self, id: &RequestId) {
        self.lock().remove(id);
    }

    /// The client is gone: no question will be answered.
    pub(crate) fn give_up(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Sender<Reply>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
