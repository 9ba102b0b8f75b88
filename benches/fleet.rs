//! One short command on many hosts, cold, against the same logins by a bare libssh2 loop
//! with as many at a time.
//!
//! `cargo bench --bench fleet`, or `-- HOSTS AT_A_TIME ROUNDS` (256, 64, 5). Rounds of the
//! two alternate, so that what else the machine does meets both; the figure is the ratio of
//! the medians. Exits 1 if it is not reached.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a failed step ends the benchmark, and the bare loop is libssh2 itself"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod support;

use std::ffi::CString;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use common::Fleet;
use libssh2_sys as raw;
use support::{arguments, figure, seconds, tag_run};

/// What the whole of the server may take of the bare loop's time.
const LIMIT: f64 = 1.15;

fn main() -> ExitCode {
    let arguments = arguments();
    let number = |at: usize, default: usize| {
        arguments
            .get(at)
            .map_or(default, |text| text.parse().unwrap())
    };
    let (hosts, width, rounds) = (number(0, 256), number(1, 64), number(2, 5));
    let fleet = Fleet::crowd(hosts);
    fleet.setup.write(
        "policy.yml",
        &(common::policy_allowing(&["true"])
            + &format!("concurrency: {{max_tasks: {width}, fan_out: {width}}}\n")),
    );
    let key = std::fs::read(fleet.setup.keys.join("id_fleet")).unwrap();
    let addresses: Vec<SocketAddr> = fleet
        .machines
        .iter()
        .map(|m| (m.address, m.port).into())
        .collect();
    // SAFETY: called once, before any other call of libssh2 and any other thread.
    assert_eq!(unsafe { raw::libssh2_init(0) }, 0);
    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    // One round of each warms caches and is not counted.
    for round in 0..=rounds {
        let times = (
            bare_loop(&addresses, &key, width),
            tag_run(&fleet.setup, "crowd", hosts),
        );
        println!(
            "round {round}: bare {:.3} s, server {:.3} s, ratio {:.3}",
            times.0,
            times.1,
            times.1 / times.0
        );
        if round > 0 {
            bare.push(times.0);
            whole.push(times.1);
        }
    }
    let (bare, whole) = (median(bare), median(whole));
    println!("{hosts} hosts, {width} at a time: bare {bare:.3} s, server {whole:.3} s");
    match figure(
        "time for one command on all hosts, against libssh2 alone",
        whole / bare,
        LIMIT,
        "",
    ) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Seconds for the same by libssh2 alone.
fn bare_loop(addresses: &[SocketAddr], key: &[u8], width: usize) -> f64 {
    let next = AtomicUsize::new(0);
    let user = &common::login().name;
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..width {
            scope.spawn(|| {
                while let Some(address) = addresses.get(next.fetch_add(1, Ordering::SeqCst)) {
                    assert_eq!(one(*address, user, key), 0, "{address}");
                }
            });
        }
    });
    seconds(begun)
}

/// Logs in, runs `true`, and gives its exit status.
fn one(address: SocketAddr, user: &str, key: &[u8]) -> i32 {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (session_type, exec, command) = (c"session", c"exec", c"true");
    let user = CString::new(user).unwrap();
    let mut buffer = [0; 256];
    // SAFETY: the session and the channel are used by this thread alone, every pointer is to
    // memory that outlives its call with the length given, and both are freed once, the
    // channel before its session and the session before its socket.
    unsafe {
        let session = raw::libssh2_session_init_ex(None, None, None, null_mut());
        assert!(!session.is_null());
        assert_eq!(
            raw::libssh2_session_handshake(session, stream.as_raw_fd()),
            0
        );
        let signed_in = raw::libssh2_userauth_publickey_frommemory(
            session,
            user.as_ptr(),
            user.as_bytes().len(),
            null(),
            0,
            key.as_ptr().cast(),
            key.len(),
            null(),
        );
        assert_eq!(signed_in, 0);
        let channel = raw::libssh2_channel_open_ex(
            session,
            session_type.as_ptr(),
            7,
            1 << 20,
            1 << 15,
            null(),
            0,
        );
        assert!(!channel.is_null());
        let started =
            raw::libssh2_channel_process_startup(channel, exec.as_ptr(), 4, command.as_ptr(), 4);
        assert_eq!(started, 0);
        while raw::libssh2_channel_read_ex(channel, 0, buffer.as_mut_ptr(), buffer.len()) > 0 {}
        assert_eq!(raw::libssh2_channel_close(channel), 0);
        assert_eq!(raw::libssh2_channel_wait_closed(channel), 0);
        let status = raw::libssh2_channel_get_exit_status(channel);
        raw::libssh2_channel_free(channel);
        raw::libssh2_session_disconnect_ex(session, 11, c"done".as_ptr(), c"".as_ptr());
        raw::libssh2_session_free(session);
        status
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
