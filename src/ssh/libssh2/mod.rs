//! The door to libssh2: a session and its channels, as a safe type.
//!
//! Owns every `unsafe` of `ssh`, that for the OpenSSL beneath too (`signature`, `hpke`), and the
//! memory of libssh2: each session allocates through here, so that what it frees is wiped (it
//! frees passwords and keys) and what it holds is counted. The `ssh2` crate would not
//! do: it hides its channel pointers, cannot send a signal, cannot be given an allocator,
//! and copies secrets into strings that are not wiped.
//!
//! Refuses to touch sockets and files: libssh2 is given the callbacks of [`Wire`], key
//! material from memory, and no path. All calls are non-blocking; `Poll::Pending` means
//! that the peer has to say something first, and that the same call must be made again.

pub(crate) mod allocator;
pub(crate) mod callbacks;
pub(crate) mod channel;
pub(crate) mod externs;
pub(crate) mod fault;
pub(crate) mod hpke;
pub(crate) mod key;
pub(crate) mod linked;
pub(crate) mod login;
pub(crate) mod signature;

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::task::Poll;

use libssh2_sys as sys;

pub(in crate::ssh) use crate::ssh::libssh2::allocator::SecretCString;
pub(in crate::ssh) use crate::ssh::libssh2::channel::Tunnel;
use crate::ssh::libssh2::externs::{
    DisconnectCallback, GenericCallback, LIBSSH2_CALLBACK_DISCONNECT, LIBSSH2_CALLBACK_RECV,
    LIBSSH2_CALLBACK_SEND, RecvCallback, SendCallback, libssh2_session_callback_set2,
    libssh2_session_set_read_timeout,
};
pub(in crate::ssh) use crate::ssh::libssh2::fault::{Fault, FaultKind};
use crate::ssh::transport::buffers::Wire;

/// `SSH_DISCONNECT_BY_APPLICATION` (RFC 4253 §11.1).
const BY_APPLICATION: c_int = 11;
/// libssh2 gives up on a reply by its own clock, 60 s by default. Here the deadlines of
/// [`crate::ssh::deadline`] decide, so its clock is set to a day.
const READ_TIMEOUT_SECONDS: c_long = 86_400;

pub(crate) type Step<T> = Poll<Result<T, Fault>>;

/// What is negotiated, by libssh2's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Method {
    Kex = sys::LIBSSH2_METHOD_KEX,
    HostKey = sys::LIBSSH2_METHOD_HOSTKEY,
    CipherOut = sys::LIBSSH2_METHOD_CRYPT_CS,
    CipherIn = sys::LIBSSH2_METHOD_CRYPT_SC,
    MacOut = sys::LIBSSH2_METHOD_MAC_CS,
    MacIn = sys::LIBSSH2_METHOD_MAC_SC,
    /// Of a login by a key, by the host's list.
    Signature = sys::LIBSSH2_METHOD_SIGN_ALGO,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// A session of libssh2, its wire, the channel at hand, those that were set aside, and the channels before whose close the host has not answered yet.
pub(crate) struct Session {
    raw: NonNull<sys::LIBSSH2_SESSION>,
    /// Shared with the callbacks through the session's abstract pointer; freed last.
    wire: NonNull<Wire>,
    channel: Option<NonNull<sys::LIBSSH2_CHANNEL>>,
    closing: Vec<NonNull<sys::LIBSSH2_CHANNEL>>,
    /// Channels that were set aside, and the number of the next.
    aside: Vec<(Tunnel, NonNull<sys::LIBSSH2_CHANNEL>)>,
    tunnels: u64,
}

// SAFETY: libssh2 has no thread-local state, and its global state is only set up in
// `libssh2_sys::init`, behind a `Once`. A session is reached through `&mut Session` or
// `&Session` of one thread at a time (it is not `Sync`), and so is its wire.
unsafe impl Send for Session {}

impl Session {
    /// # Errors
    /// Out of memory.
    pub(crate) fn new() -> Result<Self, Fault> {
        sys::init();
        let wire = NonNull::from(Box::leak(Box::<Wire>::default()));
        // SAFETY: the three functions keep the contract of malloc, free and realloc; the
        // abstract pointer is a `Wire` that outlives the session (freed after it in drop).
        let raw = unsafe {
            sys::libssh2_session_init_ex(
                Some(allocator::allocate),
                Some(allocator::release),
                Some(allocator::reallocate),
                wire.as_ptr().cast(),
            )
        };
        let Some(raw) = NonNull::new(raw) else {
            // SAFETY: made by `Box::leak` above, and no session holds it.
            drop(unsafe { Box::from_raw(wire.as_ptr()) });
            return Err(Fault::new(sys::LIBSSH2_ERROR_ALLOC, "out of memory"));
        };
        // SAFETY: `raw` is a live session. The casts are those of the C header: the
        // callback's type is given by the number beside it.
        unsafe {
            let recv: RecvCallback = callbacks::receive;
            let send: SendCallback = callbacks::send;
            let disconnect: DisconnectCallback = callbacks::disconnected;
            for (number, callback) in [
                (
                    LIBSSH2_CALLBACK_RECV,
                    std::mem::transmute::<RecvCallback, GenericCallback>(recv),
                ),
                (
                    LIBSSH2_CALLBACK_SEND,
                    std::mem::transmute::<SendCallback, GenericCallback>(send),
                ),
                (
                    LIBSSH2_CALLBACK_DISCONNECT,
                    std::mem::transmute::<DisconnectCallback, GenericCallback>(disconnect),
                ),
            ] {
                libssh2_session_callback_set2(raw.as_ptr(), number, Some(callback));
            }
            libssh2_session_set_read_timeout(raw.as_ptr(), READ_TIMEOUT_SECONDS);
            sys::libssh2_session_set_blocking(raw.as_ptr(), 0);
            allocator::give_back_zeros(raw.as_ptr().cast());
        }
        Ok(Self {
            raw,
            wire,
            channel: None,
            closing: Vec::new(),
            aside: Vec::new(),
            tunnels: 0,
        })
    }

    pub(crate) fn wire(&self) -> &Wire {
        // SAFETY: valid until drop, and only ever shared.
        unsafe { self.wire.as_ref() }
    }

    /// Names what may be negotiated, best first, commas between.
    ///
    /// # Errors
    /// This build of libssh2 knows none of the names.
    pub(crate) fn prefer(&mut self, method: Method, names: &CStr) -> Result<(), Fault> {
        // SAFETY: a live session and a NUL-terminated list, which libssh2 copies.
        let code = unsafe {
            sys::libssh2_session_method_pref(self.ptr(), method as c_int, names.as_ptr())
        };
        self.done(code)
    }

    /// Banner, key exchange, and the request for the login service. `descriptor` is only
    /// asked for its flags; bytes go over the wire.
    pub(crate) fn handshake(&mut self, descriptor: BorrowedFd<'_>) -> Step<()> {
        // SAFETY: a live session; the descriptor is open for the time of the call, which
        // is all that libssh2 uses it for, as it has send and receive callbacks.
        let code = unsafe { sys::libssh2_session_handshake(self.ptr(), descriptor.as_raw_fd()) };
        self.step(code)
    }

    /// The host's public key, as the blob that was verified in the key exchange.
    pub(crate) fn host_key(&self) -> Option<Vec<u8>> {
        let mut length = 0;
        let mut kind = 0;
        // SAFETY: a live session; the result points to `length` bytes that live until the
        // next key exchange, and are copied here.
        unsafe {
            let key = sys::libssh2_session_hostkey(self.ptr(), &mut length, &mut kind);
            (!key.is_null()).then(|| std::slice::from_raw_parts(key.cast::<u8>(), length).to_vec())
        }
    }

    /// Whether that is still the host's key: a host can present another in a later key
    /// exchange, and libssh2 takes it as it takes the first.
    pub(crate) fn host_key_is(&self, believed: &[u8]) -> bool {
        let mut length = 0;
        let mut kind = 0;
        // SAFETY: as in `host_key`; compared before anything else is called.
        unsafe {
            let key = sys::libssh2_session_hostkey(self.ptr(), &mut length, &mut kind);
            !key.is_null() && std::slice::from_raw_parts(key.cast::<u8>(), length) == believed
        }
    }

    /// What was negotiated.
    pub(crate) fn negotiated(&self, method: Method) -> Option<String> {
        // SAFETY: a live session; the result is a static string of libssh2 or null.
        unsafe { text(sys::libssh2_session_methods(self.ptr(), method as c_int)) }
    }

    /// The peer's software version line.
    pub(crate) fn peer_version(&self) -> Option<String> {
        // SAFETY: a live session; the string lives as long as it and is copied here.
        unsafe { text(sys::libssh2_session_banner_get(self.ptr())) }
    }

    /// How often to say something when nothing is said, in seconds. No answer is asked for:
    /// libssh2 would keep every one of them for as long as the session lives.
    pub(crate) fn keep_alive(&mut self, seconds: u32) {
        // SAFETY: a live session.
        unsafe { sys::libssh2_keepalive_config(self.ptr(), 0, seconds) };
    }

    /// Says it if it is time; returns the seconds until it is time again.
    pub(crate) fn keep_alive_now(&mut self) -> Result<u32, Fault> {
        let mut next = 0;
        // SAFETY: a live session.
        let code = unsafe { sys::libssh2_keepalive_send(self.ptr(), &mut next) };
        match code {
            sys::LIBSSH2_ERROR_EAGAIN => Ok(1),
            code => self.done(code).map(|()| u32::try_from(next).unwrap_or(1)),
        }
    }

    /// Says goodbye. What it says is in the wire when this returns.
    pub(crate) fn disconnect(&mut self) {
        // SAFETY: a live session and two NUL-terminated strings.
        unsafe {
            sys::libssh2_session_disconnect_ex(
                self.ptr(),
                BY_APPLICATION,
                c"done".as_ptr(),
                c"".as_ptr(),
            )
        };
    }

    fn ptr(&self) -> *mut sys::LIBSSH2_SESSION {
        self.raw.as_ptr()
    }

    fn step(&self, code: c_int) -> Step<()> {
        match code {
            sys::LIBSSH2_ERROR_EAGAIN => Poll::Pending,
            code => Poll::Ready(self.done(code)),
        }
    }

    fn counted(&self, count: isize) -> Step<usize> {
        match usize::try_from(count) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(_) => self
                .step(c_int::try_from(count).unwrap_or(sys::LIBSSH2_ERROR_PROTO))
                .map_ok(|()| 0),
        }
    }

    fn done(&self, code: c_int) -> Result<(), Fault> {
        if code >= 0 {
            return Ok(());
        }
        let mut message: *mut c_char = ptr::null_mut();
        // SAFETY: a live session; the message is libssh2's own and copied here.
        let text = unsafe {
            sys::libssh2_session_last_error(self.ptr(), &mut message, ptr::null_mut(), 0);
            text(message).unwrap_or_default()
        };
        let mut fault = Fault::new(code, &text);
        // Whatever libssh2 makes of it where it waited: the host's own words say more.
        if let Some(words) = self.wire().disconnect() {
            fault.kind = FaultKind::Link;
            fault.text = words;
        }
        Err(fault)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // With a dead wire nothing has to be waited for: each call either frees a part or
        // fails, and a failure lets the next call skip that part.
        self.wire().kill();
        for _ in 0..16 {
            // SAFETY: a live session; it is gone as soon as this does not return 'again'.
            if unsafe { sys::libssh2_session_free(self.ptr()) } != sys::LIBSSH2_ERROR_EAGAIN {
                // SAFETY: made by `Box::leak` in `new`, and its only other user is gone.
                drop(unsafe { Box::from_raw(self.wire.as_ptr()) });
                return;
            }
        }
    }
}

/// A user name for the calls that want it NUL-terminated; `None` if it has a NUL within.
pub(in crate::ssh) fn c_user(user: &str) -> Option<CString> {
    CString::new(user).ok()
}

/// libssh2 takes some lengths as `unsigned int`. What is passed here is bounded far below
/// (a command, a name, a secret); a length that did not fit would be cut to nothing.
fn length(bytes: usize) -> c_uint {
    c_uint::try_from(bytes).unwrap_or(0)
}

/// Copies a C string; null is none.
///
/// # Safety
/// `string` is null or NUL-terminated and valid for the time of the call.
unsafe fn text(string: *const c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let string = unsafe { CStr::from_ptr(string) };
    Some(string.to_string_lossy().into_owned())
}
