//! A proxy before a host that keeps back what the host says, or turns connections away:
//! logins held open in each of their steps.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::{DEADLINE, Machine};

/// Runs until the test process ends.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    connections: usize,
    /// How many of the next connections are closed at once, after these words.
    turn_away: usize,
    words: &'static str,
    /// Of the next connection: after so many pieces from the host nothing is passed on.
    hold_after: Option<usize>,
    held: bool,
    /// Nothing that the host says is passed on.
    mute: bool,
}

impl Proxy {
    pub(crate) fn before(machine: &Machine) -> Self {
        let target = SocketAddr::from((machine.address, machine.port));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::default(),
        };
        let own = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                own.serve(client, target);
            }
        });
        proxy
    }

    /// The entry of servers.yml, and the line for known_hosts, of the host behind this.
    pub(crate) fn entry(&self, alias: &str, machine: &Machine) -> (String, String) {
        let port = self.port;
        (
            format!("  - {{alias: {alias}, host: 127.0.0.1, port: {port}, credentials: fleet}}\n"),
            format!("[127.0.0.1]:{port} {}\n", machine.public_host_key()),
        )
    }

    pub(crate) fn connections(&self) -> usize {
        self.state(|state| state.connections)
    }

    /// The next connections are closed after these words, without a host.
    pub(crate) fn turn_away(&self, connections: usize, words: &'static str) {
        self.state(|state| (state.turn_away, state.words) = (connections, words));
    }

    /// The next connection is held when the host has said this many pieces.
    pub(crate) fn hold_after(&self, pieces: usize) {
        self.state(|state| (state.hold_after, state.held) = (Some(pieces), false));
    }

    /// Waits until a connection is held or `over` holds; whether one is.
    pub(crate) fn wait_held(&self, over: impl Fn() -> bool) -> bool {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if self.state(|state| state.held) {
                return true;
            }
            if over() {
                return false;
            }
            std::thread::yield_now();
        }
        panic!("neither held nor over");
    }

    /// From now on nothing that the host says is passed on, on any connection.
    pub(crate) fn mute(&self) {
        self.state(|state| state.mute = true);
    }

    pub(crate) fn release(&self) {
        self.state(|state| (state.hold_after, state.held, state.mute) = (None, false, false));
        self.shared.1.notify_all();
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.shared.0.lock().unwrap())
    }

    fn serve(&self, mut client: TcpStream, target: SocketAddr) {
        let (away, words, hold_after) = self.state(|state| {
            state.connections += 1;
            let away = state.turn_away > 0;
            state.turn_away = state.turn_away.saturating_sub(1);
            (away, state.words, state.hold_after)
        });
        if away {
            let _ = client.write_all(words.as_bytes());
            return;
        }
        let host = TcpStream::connect(target).unwrap();
        let _ = (client.set_nodelay(true), host.set_nodelay(true));
        let (mut from_client, mut to_host) =
            (client.try_clone().unwrap(), host.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_host);
            let _ = to_host.shutdown(Shutdown::Write);
        });
        let proxy = self.clone();
        std::thread::spawn(move || proxy.pass_on(host, client, hold_after));
    }

    fn pass_on(&self, mut host: TcpStream, mut client: TcpStream, hold_after: Option<usize>) {
        let mut buffer = [0; 65536];
        let mut pieces = 0;
        while let Ok(count @ 1..) = host.read(&mut buffer) {
            let (state, changed) = &*self.shared;
            let mut state = state.lock().unwrap();
            if Some(pieces) == hold_after {
                state.held = true;
            }
            while state.held || state.mute {
                state = changed.wait(state).unwrap();
            }
            drop(state);
            pieces += 1;
            if client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }
}
