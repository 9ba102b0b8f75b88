//! The ways to log in (RFC 4252) on a session whose host key is known.
//!
//! Owns the calls of libssh2's userauth; which of them is made, and with what, is decided in
//! `login/auth`. Called through [`Session`] like the rest.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::task::Poll;

use libssh2_sys as sys;

use crate::ssh::libssh2::callbacks::{self, Signer};
use crate::ssh::libssh2::externs::libssh2_userauth_publickey;
use crate::ssh::libssh2::{Fault, Session, Step, length, text};

impl Session {
    /// Signs in with a private key. `public` is the line of a public key file (its first
    /// word chooses the signature algorithm), or empty to have it worked out.
    pub(crate) fn login_key(
        &mut self,
        user: &str,
        public: &[u8],
        private: &[u8],
        passphrase: &CStr,
    ) -> Step<()> {
        let public_pointer = if public.is_empty() {
            ptr::null()
        } else {
            public.as_ptr().cast()
        };
        // SAFETY: all pointers are valid for the lengths beside them; the passphrase is
        // never null, because libssh2's PEM callback takes its strlen.
        let code = unsafe {
            sys::libssh2_userauth_publickey_frommemory(
                self.ptr(),
                user.as_ptr().cast(),
                user.len(),
                public_pointer,
                public.len(),
                private.as_ptr().cast(),
                private.len(),
                passphrase.as_ptr(),
            )
        };
        self.step(code)
    }

    /// Signs in with a public key blob whose private half `sign` can use. `sign` is given
    /// the bytes to be signed and returns the bare signature.
    pub(crate) fn login_signer(
        &mut self,
        user: &CStr,
        blob: &[u8],
        sign: &mut Signer<'_>,
    ) -> Step<()> {
        let mut signer: *mut Signer<'_> = sign;
        let context: *mut *mut c_void = (&raw mut signer).cast();
        // SAFETY: the callback is only called during this call, so the pointer to `sign`
        // outlives its use; everything else as for the other logins.
        let code = unsafe {
            libssh2_userauth_publickey(
                self.ptr(),
                user.as_ptr(),
                blob.as_ptr(),
                blob.len(),
                callbacks::sign,
                context,
            )
        };
        self.step(code)
    }

    pub(crate) fn login_password(&mut self, user: &str, password: &[u8]) -> Step<()> {
        // SAFETY: both pointers are valid for the lengths beside them.
        let code = unsafe {
            sys::libssh2_userauth_password_ex(
                self.ptr(),
                user.as_ptr().cast(),
                length(user.len()),
                password.as_ptr().cast(),
                length(password.len()),
                None,
            )
        };
        self.step(code)
    }

    /// Keyboard-interactive; the answers are those set with [`crate::ssh::transport::buffers::Wire::set_answers`].
    pub(crate) fn login_interactive(&mut self, user: &str) -> Step<()> {
        // SAFETY: the pointer is valid for the length beside it, and the callback keeps
        // the contract of the header.
        let code = unsafe {
            sys::libssh2_userauth_keyboard_interactive_ex(
                self.ptr(),
                user.as_ptr().cast(),
                length(user.len()),
                Some(callbacks::interactive),
            )
        };
        self.step(code)
    }

    /// Asks which methods the host takes (by a login of method 'none', RFC 4252 §5.2).
    /// `Ready(None)`: it let us in without any.
    pub(crate) fn login_methods(&mut self, user: &str) -> Step<Option<String>> {
        // SAFETY: the pointer is valid for the length beside it; the result lives until the
        // next call and is copied here.
        unsafe {
            let list =
                sys::libssh2_userauth_list(self.ptr(), user.as_ptr().cast(), length(user.len()));
            match text(list) {
                Some(list) => Poll::Ready(Ok(Some(list))),
                None if self.is_authenticated() => Poll::Ready(Ok(None)),
                None => match sys::libssh2_session_last_errno(self.ptr()) {
                    0 => Poll::Ready(Err(Fault::new(sys::LIBSSH2_ERROR_PROTO, "no methods"))),
                    code => self.step(code).map_ok(|()| None),
                },
            }
        }
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        // SAFETY: a live session.
        unsafe { sys::libssh2_userauth_authenticated(self.ptr()) != 0 }
    }
}
