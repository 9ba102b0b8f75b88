//! Many commands held at once, and very many one after another: what they take, how fast
//! all of them can be ended, and that nothing grows.
//!
//! `cargo bench --bench soak` takes some minutes; `-- hold 1000` or `-- flat 100000` does
//! one of the two, with another number if need be. Exits 1 if a figure is not reached.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed step ends the benchmark"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod support;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use common::Fleet;
use serde_json::json;
use support::{Client, Use, arguments, figure, mib, seconds};

fn main() -> ExitCode {
    let arguments = arguments();
    let number = |default: usize| {
        arguments
            .get(1)
            .map_or(default, |text| text.parse().unwrap())
    };
    let reached = match arguments.first().map(String::as_str) {
        Some("hold") => hold(number(1_000)),
        Some("flat") => flat(number(100_000)),
        _ => hold(1_000) & flat(100_000),
    };
    if reached {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// So many commands at once, on 64 hosts; then all of them cancelled.
fn hold(count: usize) -> bool {
    const HOSTS: usize = 64;
    let fleet = Fleet::crowd(HOSTS);
    fleet.setup.write(
        "policy.yml",
        &(common::policy_allowing(&["sleep *"]).replace("max_seconds: 30", "max_seconds: 3600")
            + &format!(
                "concurrency: {{max_tasks: {count}, max_per_host: {}}}\n",
                count.div_ceil(HOSTS)
            )),
    );
    let mut client = Client::start(&fleet.setup);
    let before = Use::of(client.pid());
    for number in 0..count {
        let alias = format!("node-{:03}", number % HOSTS);
        client.call(
            "ssh_run_async",
            json!({"alias": alias, "command": "sleep 3600"}),
        );
    }
    let ids: Vec<_> = (0..count)
        .map(|_| client.result()["task_id"].clone())
        .collect();
    while common::processes_with("sleep 3600").len() < count {
        thread::sleep(Duration::from_millis(200));
    }
    let held = Use::of(client.pid());
    let begun = Instant::now();
    for id in &ids {
        client.call("ssh_cancel", json!({"task_id": id}));
    }
    client.seen.wait_cancelled(count);
    let cancelled = seconds(begun);
    for _ in &ids {
        assert_eq!(client.result()["cancelled"], true);
    }
    // Threads and remote processes that have been told to go need a moment to be gone.
    let moment = Instant::now() + Duration::from_secs(15);
    while Instant::now() < moment
        && (Use::of(client.pid()).threads > before.threads
            || !common::processes_with("sleep 3600").is_empty())
    {
        thread::sleep(Duration::from_millis(50));
    }
    let after = Use::of(client.pid());
    println!(
        "{count} commands held: {:.1} MiB before, {:.1} MiB held, {} threads, {} descriptors",
        mib(before.rss),
        mib(held.rss),
        held.threads,
        held.descriptors
    );
    let left = common::processes_with("sleep 3600").len();
    client.finish();
    let scale = count as f64 / 1_000.0;
    figure(
        "memory of all commands held at once",
        mib(held.rss),
        256.0 * scale,
        "MiB",
    ) & figure(
        "time until all were cancelled and on record",
        cancelled,
        scale.max(1.0),
        "s",
    ) & figure(
        "threads afterwards, against before",
        after.threads as f64,
        before.threads as f64,
        "",
    ) & figure(
        "remote processes left afterwards, and one",
        (left + 1) as f64,
        1.0,
        "",
    )
}

/// So many short commands on 8 hosts, 16 at a time.
fn flat(count: usize) -> bool {
    const HOSTS: usize = 8;
    const AT_ONCE: usize = 16;
    let fleet = Fleet::crowd(HOSTS);
    fleet.setup.write(
        "policy.yml",
        &common::policy_allowing(&["echo *"]).replace(
            "max_seconds: 30",
            "max_seconds: 30\n  session_idle_seconds: 2",
        ),
    );
    let mut client = Client::start(&fleet.setup);
    let start = Use::of(client.pid());
    let tenth = count / 10;
    let mut marks = Vec::new();
    let begun = Instant::now();
    for part in 0..10 {
        for number in 0..tenth {
            if number >= AT_ONCE {
                assert_eq!(client.result()["exit_code"], 0);
            }
            let alias = format!("node-{:03}", number % HOSTS);
            client.call(
                "ssh_run",
                json!({"alias": alias, "command": format!("echo {part} {number}")}),
            );
        }
        for _ in 0..AT_ONCE.min(tenth) {
            assert_eq!(client.result()["exit_code"], 0);
        }
        marks.push(Use::of(client.pid()));
        let rss = marks.last().map_or(0, |mark: &Use| mark.rss);
        println!(
            "after {:>7}: {:.2} MiB, {:.0} commands a second",
            (part + 1) * tenth,
            mib(rss),
            ((part + 1) * tenth) as f64 / seconds(begun)
        );
    }
    let (first, last) = (marks[0], marks[9]);
    // Idle sessions go after their time; then everything is as it was.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut end = Use::of(client.pid());
    while Instant::now() < deadline
        && (end.descriptors > start.descriptors || end.threads > start.threads)
    {
        thread::sleep(Duration::from_millis(200));
        end = Use::of(client.pid());
    }
    client.finish();
    figure(
        "memory after the last tenth, against the first",
        last.rss as f64,
        first.rss as f64 * 1.05,
        "B",
    ) & figure(
        "threads when idle again, against the start",
        end.threads as f64,
        start.threads as f64,
        "",
    ) & figure(
        "descriptors when idle again, against the start",
        end.descriptors as f64,
        start.descriptors as f64,
        "",
    )
}
