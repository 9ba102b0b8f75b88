//! Requests of ours to a legacy client, until it answers them.
//!
//! Owns their ids and which open question each answer is for. An answer nobody waits for is
//! ignored: a client can send what it likes. Called by `connection` for responses, and by
//! `approval` and `operator`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::mcp::call::waiting::{Reply, Waiting};
use crate::mcp::wire::message::RequestId;

/// The questions without an answer.
#[derive(Default)]
pub(crate) struct Questions {
    /// Where who waits for an answer waits.
    pub(crate) waiting: Arc<Waiting>,
    /// The number there of who waits for it.
    asked: Mutex<HashMap<RequestId, u64>>,
    next: AtomicU64,
}

impl Questions {
    /// A new question's id; its answer goes to what waits under this number.
    pub(crate) fn open(&self, waits: u64) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = RequestId::Text(format!("question-{number}").into());
        self.lock().insert(id.clone(), waits);
        id
    }

    /// Takes an answer in, the first to each question.
    pub(crate) fn settle(&self, id: &RequestId, reply: Reply) {
        let waits = self.lock().remove(id);
        if let Some(waits) = waits {
            self.waiting.tell(waits, Some(reply));
        }
    }

    /// Takes a question back.
    pub(crate) fn forget(&self, id: &RequestId) {
        self.lock().remove(id);
    }

    /// The client is gone: no question will be answered, and who waits is told.
    pub(crate) fn give_up(&self) {
        self.lock().clear();
        self.waiting.tell_all();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, u64>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
