//! The client's half of the SSH agent protocol (draft-ietf-sshm-ssh-agent), as far as a
//! login needs it: list the keys, have one sign.
//!
//! libssh2's own agent client blocks without a deadline and takes its socket from the
//! environment; this one has the watch of the login. Refuses anything else an agent can
//! do. Called by [`crate::ssh::login::auth`] for entries with `agent: true`.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};

use crate::ssh::deadline::Watch;
use crate::ssh::encoding::{put_string, take_string};
use crate::ssh::error::{KeyProblem, SshError};
use crate::ssh::host_keys::PublicKey;
use crate::ssh::libssh2::{FaultKind, c_user};
use crate::ssh::transport::link::{Link, explain};
use crate::ssh::transport::wait::wait_for;

/// Messages (§3 of the draft).
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// Flags of a signature request by an RSA key (§3.6.1).
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;
/// Largest answer taken, in bytes; OpenSSH's own bound.
const ANSWER_MAX: usize = 256 * 1024;
const TOO_LONG: &str = "a request too long";
/// How long to wait before another try at an agent whose queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(50);
/// Keys tried, at most: a default sshd hangs up after six failures.
const KEYS_MAX: usize = 5;

/// Whether one of the agent's keys got us in.
///
/// # Errors
/// The agent cannot be reached or does not keep to the protocol; the link fails.
pub(crate) fn sign_in(
    link: &mut Link,
    user: &str,
    socket: &Path,
    identity: Option<&PublicKey>,
    watch: &Watch<'_>,
) -> Result<bool, SshError> {
    let user = c_user(user).ok_or(SshError::NoCredentials)?;
    let mut agent = Agent::connect(socket, watch)?;
    let mut keys = agent.keys(watch)?;
    if let Some(identity) = identity {
        keys.retain(|blob| blob == identity.blob());
        if keys.is_empty() {
            return Err(SshError::Key(KeyProblem::Identity {
                cause: format!("the agent does not hold the key {identity}"),
            }));
        }
    }
    // One that cannot sign now (its device is not there, nobody touched it) is no reason to
    // leave out the others.
    let mut last = None;
    for (refused, blob) in keys.into_iter().take(KEYS_MAX).enumerate() {
        let mut trouble = None;
        let mut sign = |data: &[u8]| {
            agent
                .sign(&blob, data, watch)
                .map_err(|error| trouble = Some(error))
                .ok()
        };
        let result = link.drive_faults(watch, |session, _| {
            session.login_signer(&user, &blob, &mut sign)
        })?;
        match result {
            Ok(()) => return Ok(true),
            Err(fault) if fault.kind == FaultKind::Denied => {}
            // It has had enough of our keys: the next to ask it anything will see.
            Err(fault) if fault.kind == FaultKind::Link && refused > 0 => break,
            Err(fault) => match trouble {
                Some(error @ SshError::Key(_)) => last = Some(error),
                Some(error) => return Err(error),
                None => return Err(explain(watch.phase, &fault)),
            },
        }
    }
    match last {
        Some(error) => Err(error),
        None => Ok(false),
    }
}

struct Agent(UnixStream);

impl Agent {
    /// Without blocking: connect(2) would wait for as long as an agent that hangs lets
    /// others queue up before it.
    fn connect(path: &Path, watch: &Watch<'_>) -> Result<Self, SshError> {
        let failed = |errno: Errno| problem(errno.desc());
        let address = UnixAddr::new(path).map_err(failed)?;
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None);
        let socket = socket.map_err(failed)?;
        loop {
            match socket::connect(socket.as_raw_fd(), &address) {
                Ok(()) => return Ok(Self(UnixStream::from(socket))),
                Err(Errno::EINTR) => {}
                // The queue is full, and nothing tells when it no longer is (unix(7)).
                Err(Errno::EAGAIN) => {
                    let nothing = PollFlags::empty();
                    wait_for(watch.cancel().as_fd(), nothing, watch, QUEUE_PAUSE)?;
                }
                Err(errno) => return Err(failed(errno)),
            }
        }
    }

    /// The blobs of the agent's public keys, in its order.
    fn keys(&mut self, watch: &Watch<'_>) -> Result<Vec<Vec<u8>>, SshError> {
        let answer = self.ask(&[REQUEST_IDENTITIES], IDENTITIES_ANSWER, watch)?;
        let list = || -> Option<Vec<Vec<u8>>> {
            let (count, mut rest) = answer.split_first_chunk::<4>()?;
            let mut keys = Vec::new();
            for _ in 0..u32::from_be_bytes(*count) {
                let (blob, after) = take_string(rest)?;
                let (_comment, after) = take_string(after)?;
                keys.push(blob.to_vec());
                rest = after;
            }
            Some(keys)
        };
        list().ok_or_else(|| problem("unreadable list of keys"))
    }

    /// The bare signature over `data`; of a key that lives in a device (PROTOCOL.u2f) with the
    /// flags and the counter behind it, which libssh2 puts into the request as they are.
    fn sign(&mut self, blob: &[u8], data: &[u8], watch: &Watch<'_>) -> Result<Vec<u8>, SshError> {
        let mut request = vec![SIGN_REQUEST];
        put_string(&mut request, blob)
            .and_then(|()| put_string(&mut request, data))
            .ok_or_else(|| problem(TOO_LONG))?;
        request.extend_from_slice(&rsa_flags(data).to_be_bytes());
        let answer = self.ask(&request, SIGN_RESPONSE, watch)?;
        let bare = || {
            let (signature, _) = take_string(&answer)?;
            let (algorithm, rest) = take_string(signature)?;
            let (bare, flags_and_counter) = take_string(rest)?;
            match algorithm.starts_with(b"sk-") {
                true => (flags_and_counter.len() == 5).then(|| rest.to_vec()),
                false => Some(bare.to_vec()),
            }
        };
        bare().ok_or_else(|| problem("unreadable signature"))
    }

    fn ask(
        &mut self,
        request: &[u8],
        expected: u8,
        watch: &Watch<'_>,
    ) -> Result<Vec<u8>, SshError> {
        let mut message = Vec::with_capacity(request.len().saturating_add(4));
        put_string(&mut message, request).ok_or_else(|| problem(TOO_LONG))?;
        self.write(&message, watch)?;
        let mut length = [0; 4];
        self.read(&mut length, watch)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 || length > ANSWER_MAX {
            return Err(problem("an answer of no sensible length"));
        }
        let mut answer = vec![0; length];
        self.read(&mut answer, watch)?;
        match answer.split_first() {
            Some((&kind, rest)) if kind == expected => Ok(rest.to_vec()),
            _ => Err(problem("the agent refused")),
        }
    }

    fn write(&mut self, mut bytes: &[u8], watch: &Watch<'_>) -> Result<(), SshError> {
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(0) => return Err(problem("the agent hung up")),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(e) => self.wait(&e, PollFlags::POLLOUT, watch)?,
            }
        }
        Ok(())
    }

    fn read(&mut self, mut into: &mut [u8], watch: &Watch<'_>) -> Result<(), SshError> {
        while !into.is_empty() {
            match self.0.read(into) {
                Ok(0) => return Err(problem("the agent hung up")),
                Ok(count) => into = into.get_mut(count..).unwrap_or_default(),
                Err(e) => self.wait(&e, PollFlags::POLLIN, watch)?,
            }
        }
        Ok(())
    }

    fn wait(
        &self,
        error: &std::io::Error,
        interest: PollFlags,
        watch: &Watch<'_>,
    ) -> Result<(), SshError> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(()),
            ErrorKind::WouldBlock => {
                wait_for(self.0.as_fd(), interest, watch, Duration::from_secs(60)).map(drop)
            }
            _ => Err(problem(&error.to_string())),
        }
    }
}

/// What to ask an RSA key for: the algorithm that libssh2 has put into the request that is
/// to be signed (RFC 4252 §7: session id, type, user, service, method, true, algorithm).
fn rsa_flags(data: &[u8]) -> u32 {
    let algorithm = || {
        let (_session, rest) = take_string(data)?;
        let (_user, rest) = take_string(rest.get(1..)?)?;
        let (_service, rest) = take_string(rest)?;
        let (_method, rest) = take_string(rest)?;
        Some(take_string(rest.get(1..)?)?.0)
    };
    match algorithm() {
        Some(name) if name.starts_with(b"rsa-sha2-512") => RSA_SHA2_512,
        Some(name) if name.starts_with(b"rsa-sha2-256") => RSA_SHA2_256,
        // Not an RSA key; or a host that says nothing of SHA-2, which gets it all the same
        // (and then says no), because SHA-1 is not to be signed.
        _ => RSA_SHA2_512,
    }
}

fn problem(cause: &str) -> SshError {
    SshError::Key(KeyProblem::Agent {
        cause: cause.into(),
    })
}
