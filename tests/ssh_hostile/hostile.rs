//! Servers that mean harm: one that speaks the protocol well enough to be let in and then
//! does what it likes, one that just writes bytes, and a proxy in front of an honest one.
//!
//! The speaking one is made for these tests from RFC 4253, 4252 and 4254: curve25519-sha256,
//! ssh-ed25519, aes128-ctr, hmac-sha2-256, any login accepted. Cryptography is OpenSSL's.
#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test binary uses its own part, and a failed step is a failed test"
)]

pub(crate) mod peer;
pub(crate) mod proxy;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A listener that hands every connection to a script on a thread of its own.
pub(crate) struct Listener {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicUsize>,
}

/// Serves until the test process ends; the script's own end closes its connection.
pub(crate) fn serve(script: impl Fn(TcpStream) + Send + Sync + 'static) -> Listener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = Arc::new(script);
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            stream.set_nodelay(true).unwrap();
            let script = Arc::clone(&script);
            thread::spawn(move || script(stream));
        }
    });
    Listener { port, connections }
}

pub(crate) fn put_string(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    into.extend_from_slice(bytes);
}

pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_string(&mut out, bytes);
    out
}

/// A packet before the first key exchange (RFC 4253 §6), padded to 8.
pub(crate) fn clear_packet(payload: &[u8]) -> Vec<u8> {
    let mut padding = 8 - (payload.len() + 5) % 8;
    if padding < 4 {
        padding += 8;
    }
    let mut packet = ((payload.len() + padding + 1) as u32)
        .to_be_bytes()
        .to_vec();
    packet.push(padding as u8);
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// A KEXINIT that offers these, one list for each of the ten names.
pub(crate) fn kexinit(lists: [&str; 10]) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend_from_slice(&[7; 16]);
    for list in lists {
        put_string(&mut payload, list.as_bytes());
    }
    payload.extend_from_slice(&[0; 5]);
    payload
}

pub(crate) const OFFER: [&str; 10] = [
    "curve25519-sha256",
    "ssh-ed25519",
    "aes128-ctr",
    "aes128-ctr",
    "hmac-sha2-256",
    "hmac-sha2-256",
    "none",
    "none",
    "",
    "",
];
