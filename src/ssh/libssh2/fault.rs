//! What libssh2 refuses, and what of it is told apart.
//!
//! Owns the reading of its error numbers; the layers above know these kinds alone. Made by the
//! files beside it.

use libssh2_sys as sys;

/// A refusal of libssh2, in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) code: i32,
    pub(crate) text: String,
}

/// What this layer tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The wire is dead, or the peer said that it hangs up.
    Link,
    /// The host said no to a login.
    Denied,
    /// The private key cannot be read or cannot sign.
    Key,
    /// The host said no to a channel.
    Channel,
    /// The host said no to a request on a channel.
    Request,
    /// Anything else: the peer does not keep to the protocol, or out of memory.
    Protocol,
}

impl Fault {
    pub(super) fn new(code: i32, text: &str) -> Self {
        Self {
            kind: FaultKind::of(code, text),
            code,
            text: text.to_owned(),
        }
    }
}

impl Fault {
    /// A login by a key that ended with the host's answer to the question for it: nothing was
    /// signed.
    pub(crate) fn is_unasked(&self) -> bool {
        self.code == sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED
    }
}

impl FaultKind {
    fn of(code: i32, text: &str) -> Self {
        match code {
            sys::LIBSSH2_ERROR_SOCKET_DISCONNECT
            | sys::LIBSSH2_ERROR_SOCKET_RECV
            | sys::LIBSSH2_ERROR_SOCKET_SEND => Self::Link,
            sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED => Self::Denied,
            // The one code that libssh2 has for 'the signature was refused', 'the key cannot
            // sign' and 'no answer that makes sense' in a login by key: only its words are
            // left to tell these apart. A host that hung up is known otherwise.
            sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED if text.starts_with("Callback") => Self::Key,
            sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED if text.starts_with("Waiting") => Self::Link,
            sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED => Self::Denied,
            // A host that wants the password changed first will not have us.
            sys::LIBSSH2_ERROR_PASSWORD_EXPIRED => Self::Denied,
            sys::LIBSSH2_ERROR_FILE
            | sys::LIBSSH2_ERROR_KEYFILE_AUTH_FAILED
            | sys::LIBSSH2_ERROR_METHOD_NONE
            | sys::LIBSSH2_ERROR_METHOD_NOT_SUPPORTED => Self::Key,
            sys::LIBSSH2_ERROR_CHANNEL_FAILURE => Self::Channel,
            sys::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED => Self::Request,
            _ => Self::Protocol,
        }
    }
}
