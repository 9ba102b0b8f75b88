//! What the bindings of `libssh2-sys` lack, declared by hand: functions, callbacks, numbers.
//!
//! Owns every such declaration, so that one test can hold them against the header of the
//! vendored library (`tests/vendored_fixes.rs` reads both files). The name in the first line
//! of a callback's comment is the header's. Wraps nothing; called by the files beside it.

use std::ffi::{c_char, c_int, c_long, c_uchar, c_ulong, c_void};

use libssh2_sys::{LIBSSH2_CHANNEL, LIBSSH2_SESSION};

/// Callback numbers of libssh2.h.
pub(crate) const LIBSSH2_CALLBACK_DISCONNECT: c_int = 2;
pub(crate) const LIBSSH2_CALLBACK_SEND: c_int = 5;
pub(crate) const LIBSSH2_CALLBACK_RECV: c_int = 6;

/// `libssh2_cb_generic`: a callback whose type is told by the number beside it.
pub(crate) type GenericCallback = unsafe extern "C" fn();

/// `LIBSSH2_RECV_FUNC`
pub(crate) type RecvCallback =
    unsafe extern "C" fn(c_int, *mut c_void, usize, c_int, *mut *mut c_void) -> isize;

/// `LIBSSH2_SEND_FUNC`
pub(crate) type SendCallback =
    unsafe extern "C" fn(c_int, *const c_void, usize, c_int, *mut *mut c_void) -> isize;

/// `LIBSSH2_DISCONNECT_FUNC`
pub(crate) type DisconnectCallback = unsafe extern "C" fn(
    *mut LIBSSH2_SESSION,
    c_int,
    *const c_char,
    c_int,
    *const c_char,
    c_int,
    *mut *mut c_void,
);

/// `LIBSSH2_USERAUTH_PUBLICKEY_SIGN_FUNC`
pub(crate) type SignCallback = unsafe extern "C" fn(
    *mut LIBSSH2_SESSION,
    *mut *mut c_uchar,
    *mut usize,
    *const c_uchar,
    usize,
    *mut *mut c_void,
) -> c_int;

unsafe extern "C" {
    /// libssh2_version(3): null if the library is older than the number asked for.
    pub(crate) safe fn libssh2_version(required: c_int) -> *const c_char;
    pub(crate) fn libssh2_session_callback_set2(
        session: *mut LIBSSH2_SESSION,
        kind: c_int,
        callback: Option<GenericCallback>,
    ) -> Option<GenericCallback>;
    pub(crate) fn libssh2_session_set_read_timeout(session: *mut LIBSSH2_SESSION, seconds: c_long);
    pub(crate) fn libssh2_userauth_publickey(
        session: *mut LIBSSH2_SESSION,
        user: *const c_char,
        public: *const c_uchar,
        public_length: usize,
        sign: SignCallback,
        context: *mut *mut c_void,
    ) -> c_int;
    pub(crate) fn libssh2_channel_signal_ex(
        channel: *mut LIBSSH2_CHANNEL,
        name: *const c_char,
        length: usize,
    ) -> c_int;
    pub(crate) fn libssh2_channel_has_exit_status(channel: *mut LIBSSH2_CHANNEL) -> c_int;
}

/// `struct string_buf` of misc.h, which no header for users of libssh2 has.
#[repr(C)]
pub(crate) struct StringBuf {
    pub(crate) data: *mut c_uchar,
    pub(crate) position: *mut c_uchar,
    pub(crate) length: usize,
}

/// `struct hostkey_method` of libssh2_priv.h. Of the functions that are not called here only
/// the place counts.
#[repr(C)]
pub(crate) struct HostkeyMethod {
    pub(crate) name: *const c_char,
    pub(crate) hash_length: usize,
    pub(crate) init: unsafe extern "C" fn(
        *mut LIBSSH2_SESSION,
        *const c_uchar,
        usize,
        *mut *mut c_void,
    ) -> c_int,
    pub(crate) init_pem: Option<GenericCallback>,
    pub(crate) sig_verify: unsafe extern "C" fn(
        *mut LIBSSH2_SESSION,
        *const c_uchar,
        usize,
        *const c_uchar,
        usize,
        *mut *mut c_void,
    ) -> c_int,
    pub(crate) signv: Option<GenericCallback>,
    pub(crate) encrypt: Option<GenericCallback>,
    pub(crate) dtor: unsafe extern "C" fn(*mut LIBSSH2_SESSION, *mut *mut c_void) -> c_int,
}

// Not for users either, but not hidden: the vendored library is always the one that is linked.
unsafe extern "C" {
    /// pem.c: the private part of a key file of OpenSSH's form, decrypted.
    pub(crate) fn ssh2_openssh_pem_parse(
        session: *mut LIBSSH2_SESSION,
        filename: *const c_char,
        blob: *const c_char,
        blob_length: usize,
        passphrase: *const c_char,
        decrypted: *mut *mut StringBuf,
    ) -> c_int;
    /// openssl.c: the public half of a private key, by its type's name and its blob, both to be
    /// freed with the session's allocator.
    pub(crate) fn ssh2_pub_privkey(
        session: *mut LIBSSH2_SESSION,
        method: *mut *mut c_char,
        public: *mut *mut c_uchar,
        public_length: *mut usize,
        filename: *const c_char,
        blob: *const c_char,
        blob_length: usize,
        passphrase: *const c_char,
    ) -> c_int;
    /// transport.c: takes one packet in; its type, or an error.
    pub(crate) fn ssh2_transport_read(session: *mut LIBSSH2_SESSION) -> c_int;
    /// hostkey.c: all that is compiled in; a null ends the list.
    pub(crate) fn ssh2_hostkey_methods() -> *const *const HostkeyMethod;
    /// misc.c
    pub(crate) fn ssh2_string_buf_free(session: *mut LIBSSH2_SESSION, buffer: *mut StringBuf);
}

// The two libraries below libssh2; their headers are not libssh2's.
unsafe extern "C" {
    /// OpenSSL_version(3): 0 asks for the version text.
    pub(crate) safe fn OpenSSL_version(what: c_int) -> *const c_char;
    /// crypto.h, not documented: the thread's number, which is 0 for all threads of a build
    /// without them (crypto/threads_none.c) and for none of a build with them.
    pub(crate) safe fn CRYPTO_THREAD_get_current_id() -> c_ulong;
    /// zlib.h: a static text.
    pub(crate) safe fn zlibVersion() -> *const c_char;
}
