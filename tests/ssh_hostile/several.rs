//! Servers that answer several commands on one connection out of turn, or break it under them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::attacks::{failed, resident_kib, setup, within};
use crate::direct::{Direct, Order, Ran};
use crate::hostile::peer::{Done, HostKey, Peer};
use crate::hostile::{kexinit, serve, string};
use mcp_ssh_orchestrator::testing::ssh::{Phase, SshError};

/// Two commands that were asked for on one connection and not answered yet: the client's number
/// of each channel, and its word.
fn two(mut peer: Peer) -> Done<(Peer, [(u32, &'static str); 2])> {
    let (mut opened, mut asked) = (Vec::new(), Vec::new());
    // A channel may be asked for before the command on the one before it.
    while asked.len() < 2 {
        let packet = peer.recv()?;
        match packet[0] {
            90 => {
                let own = u32::try_from(opened.len()).unwrap();
                opened.push(peer.confirm(&packet, own)?);
            }
            98 if packet.get(9..13) == Some(b"exec") => {
                let own = u32::from_be_bytes(packet[1..5].try_into().unwrap());
                let is_first = packet.windows(5).any(|part| part == b"alpha");
                asked.push((own, if is_first { "alpha" } else { "omega" }));
            }
            _ => {}
        }
    }
    asked.sort_unstable();
    let both = [0, 1].map(|own| (opened[own], asked[own].1));
    Ok((peer, both))
}

/// Runs two commands at once against a server that follows the script.
fn at_once(
    script: impl Fn(Peer, [(u32, &'static str); 2], &HostKey) -> Done + Send + Sync + 'static,
) -> [Ran; 2] {
    let key = HostKey::new();
    let line = key.line();
    let listener = serve(move |stream| {
        let _ = (|| -> Done {
            let (peer, both) = two(Peer::let_in(stream, &key)?)?;
            script(peer, both, &key)
        })();
    });
    let setup = setup(listener.port, &line);
    let direct = Direct::of(&setup);
    let runs = ["alpha", "omega"].map(|word| {
        direct.begin(Order {
            command: format!("echo {word}"),
            ..within(6000)
        })
    });
    runs.map(|run| run.join())
}

fn number(kind: u8, channel: u32) -> Vec<u8> {
    [&[kind][..], &channel.to_be_bytes()].concat()
}

/// All of it in one piece, the second command's before the first one's: each call into libssh2
/// finds the other's answer before its own.
#[test]
fn each_gets_its_own_answer_in_whatever_order_they_come() {
    for turned in [false, true] {
        let ran = at_once(move |mut peer, mut both, _| {
            if turned {
                both.reverse();
            }
            let mut all = Vec::new();
            for (channel, _) in both {
                all.extend(peer.seal(&number(99, channel)));
            }
            for (channel, word) in both {
                let data = [&number(94, channel)[..], &string(word.as_bytes())].concat();
                all.extend(peer.seal(&data));
            }
            peer.write(&all)?;
            for (channel, word) in both {
                peer.exit(channel, u32::from(word == "omega"))?;
            }
            peer.linger();
            Ok(())
        });
        for (ran, word) in ran.iter().zip(["alpha", "omega"]) {
            assert_eq!(ran.ok().out(), word);
            let status = u32::from(word == "omega");
            let exit = mcp_ssh_orchestrator::testing::ssh::Exit::Status(status);
            assert_eq!(ran.report.exit, Some(exit));
        }
    }
}

/// One that is refused is that one.
#[test]
fn a_refusal_is_for_whom_it_is_meant() {
    let key = HostKey::new();
    let line = key.line();
    let listener = serve(move |stream| {
        let _ = (|| -> Done {
            let (mut peer, both) = two(Peer::let_in(stream, &key)?)?;
            for (channel, word) in both {
                if word == "omega" {
                    let refusal = peer.seal(&number(100, channel));
                    peer.write(&refusal)?;
                }
            }
            for (channel, word) in both {
                if word == "alpha" {
                    peer.send(&number(99, channel))?;
                    peer.data(channel, b"alpha")?;
                    peer.exit(channel, 0)?;
                }
            }
            peer.linger();
            Ok(())
        })();
    });
    let setup = setup(listener.port, &line);
    let direct = Direct::of(&setup);
    let runs = ["alpha", "omega"].map(|word| {
        direct.begin(Order {
            command: format!("echo {word}"),
            ..within(3000)
        })
    });
    let [first, second] = runs.map(|run| run.join());
    assert_eq!(first.ok().out(), "alpha");
    // Refused on the first connection, or not run on the next, where nobody answers it.
    assert!(
        second.report.error.is_some() && second.out().is_empty(),
        "{:?}",
        second.report
    );
}

#[test]
fn another_key_ends_both() {
    let both = at_once(|mut peer, both, _| {
        for (channel, _) in both {
            peer.send(&number(99, channel))?;
        }
        peer.exchange(&HostKey::new())?;
        for (channel, word) in both {
            peer.data(channel, word.as_bytes())?;
            peer.succeed(channel)?;
        }
        peer.linger();
        Ok(())
    });
    for ran in both {
        assert_eq!(failed(&ran), Phase::Run);
        let said = matches!(ran.error(), SshError::Protocol { cause, .. } if cause.contains("key"));
        assert!(said && ran.report.outcome_unknown, "{:?}", ran.report);
        assert_eq!(ran.out(), "");
    }
}

/// A key exchange that holds both up, and what they said behind it.
#[test]
fn an_exchange_in_the_midst_loses_nothing() {
    let both = at_once(|mut peer, both, key| {
        let (first, second) = (both[0], both[1]);
        peer.send(&number(99, second.0))?;
        peer.data(second.0, second.1.as_bytes())?;
        peer.exchange(key)?;
        peer.send(&number(99, first.0))?;
        peer.data(first.0, first.1.as_bytes())?;
        peer.exchange(key)?;
        peer.exit(first.0, 0)?;
        peer.exit(second.0, 0)?;
        peer.linger();
        Ok(())
    });
    for (ran, word) in both.iter().zip(["alpha", "omega"]) {
        assert_eq!(ran.ok().out(), word);
    }
}

#[test]
fn who_hangs_up_hangs_up_on_both() {
    let both = at_once(|mut peer, both, _| {
        for (channel, _) in both {
            peer.send(&number(99, channel))?;
        }
        let mut goodbye = vec![1, 0, 0, 0, 2];
        goodbye.extend(string(b"no more"));
        goodbye.extend(string(b""));
        peer.send(&goodbye)?;
        peer.linger();
        Ok(())
    });
    for ran in both {
        let said =
            matches!(ran.error(), SshError::LinkLost { cause, .. } if cause.contains("no more"));
        assert!(said && ran.report.outcome_unknown, "{:?}", ran.report);
    }
}

/// More than a window, answers to nothing, an exchange that never ends: no more is held than for
/// two sessions, and both are told.
#[test]
fn what_is_held_for_both_is_bounded() {
    let before = resident_kib();
    type Flood = fn(&mut Peer, [(u32, &'static str); 2]) -> Done;
    let floods: [Flood; 4] = [
        |peer, _| peer.send(&[200; 64]),
        |peer, both| peer.send(&number(99, both[0].0)),
        |peer, both| peer.data(both[1].0, b"x"),
        |peer, _| peer.send(&kexinit([""; 10])),
    ];
    for flood in floods {
        let ran = at_once(move |mut peer, both, _| {
            for (channel, _) in both {
                peer.send(&number(99, channel))?;
            }
            loop {
                flood(&mut peer, both)?;
            }
        });
        for ran in ran {
            assert_eq!(ran.report.exit, None);
            assert!(ran.report.error.is_some(), "{:?}", ran.report);
        }
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 192 * 1024, "memory grew by {grown} KiB");
}
