//! Hybrid public key encryption (RFC 9180, base mode, X25519, HKDF-SHA256, AES-128-GCM) by the
//! OpenSSL that is linked anyway: a short text for one receiver.
//!
//! Owns the calls and their memory. Says nothing of who sends: base mode has no sender. Called
//! by [`crate::task::approvals`], for what an operator types at a login.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use zeroize::Zeroizing;

/// Bytes of an encapsulated key and of a public one (RFC 9180 section 7.1, X25519).
const KEY: usize = 32;
/// Bytes of a tag (AES-GCM).
const TAG: usize = 16;
/// Longest text.
const TEXT_MAX: usize = 1024;

/// `OSSL_HPKE_SUITE`
#[repr(C)]
#[derive(Clone, Copy)]
struct Suite {
    kem: u16,
    kdf: u16,
    aead: u16,
}

const SUITE: Suite = Suite {
    kem: 0x20,
    kdf: 1,
    aead: 1,
};
const BASE: c_int = 0;
const SENDER: c_int = 0;
const RECEIVER: c_int = 1;

// openssl/hpke.h, OSSL_HPKE_CTX_new(3): 1 is success.
unsafe extern "C" {
    fn OSSL_HPKE_CTX_new(
        mode: c_int,
        suite: Suite,
        role: c_int,
        library: *mut c_void,
        query: *const c_char,
    ) -> *mut c_void;
    fn OSSL_HPKE_CTX_free(context: *mut c_void);
    fn OSSL_HPKE_encap(
        context: *mut c_void,
        enc: *mut u8,
        enc_length: *mut usize,
        public: *const u8,
        public_length: usize,
        info: *const u8,
        info_length: usize,
    ) -> c_int;
    fn OSSL_HPKE_seal(
        context: *mut c_void,
        sealed: *mut u8,
        sealed_length: *mut usize,
        aad: *const u8,
        aad_length: usize,
        text: *const u8,
        text_length: usize,
    ) -> c_int;
    fn OSSL_HPKE_keygen(
        suite: Suite,
        public: *mut u8,
        public_length: *mut usize,
        private: *mut *mut c_void,
        ikm: *const u8,
        ikm_length: usize,
        library: *mut c_void,
        query: *const c_char,
    ) -> c_int;
    fn OSSL_HPKE_decap(
        context: *mut c_void,
        enc: *const u8,
        enc_length: usize,
        private: *mut c_void,
        info: *const u8,
        info_length: usize,
    ) -> c_int;
    fn OSSL_HPKE_open(
        context: *mut c_void,
        text: *mut u8,
        text_length: *mut usize,
        aad: *const u8,
        aad_length: usize,
        sealed: *const u8,
        sealed_length: usize,
    ) -> c_int;
    fn EVP_PKEY_free(key: *mut c_void);
}

/// Freed when dropped.
struct Context(NonNull<c_void>);

impl Context {
    fn new(role: c_int) -> Option<Self> {
        // SAFETY: null stands for the default library and for no query.
        let context = unsafe { OSSL_HPKE_CTX_new(BASE, SUITE, role, ptr::null_mut(), ptr::null()) };
        NonNull::new(context).map(Self)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by OSSL_HPKE_CTX_new, and freed once.
        unsafe { OSSL_HPKE_CTX_free(self.0.as_ptr()) }
    }
}

/// A key pair of its own, for one text. Its private half is wiped and freed when dropped.
pub(crate) struct Opener {
    private: NonNull<c_void>,
    public: [u8; KEY],
}

impl Opener {
    /// `None` where OpenSSL has no random bytes or no memory.
    pub(crate) fn new() -> Option<Self> {
        let mut public = [0_u8; KEY];
        let mut length = public.len();
        let mut private = ptr::null_mut();
        // SAFETY: `public` has `length` bytes, `private` is to be written; without key material
        // a random key is made.
        let made = unsafe {
            OSSL_HPKE_keygen(
                SUITE,
                public.as_mut_ptr(),
                &raw mut length,
                &raw mut private,
                ptr::null(),
                0,
                ptr::null_mut(),
                ptr::null(),
            )
        };
        let private = NonNull::new(private).filter(|_| made == 1 && length == KEY)?;
        Some(Self { private, public })
    }

    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// The text, if it was sealed for this key with these words beside it.
    pub(crate) fn open(
        &self,
        sealed: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (enc, sealed) = sealed.split_at_checked(KEY)?;
        if !(TAG..=TEXT_MAX + TAG).contains(&sealed.len()) {
            return None;
        }
        let context = Context::new(RECEIVER)?;
        // OpenSSL wants room for the tag, too.
        let mut text = Zeroizing::new(vec![0_u8; sealed.len()]);
        let mut length = text.len();
        // SAFETY: every pointer is valid for the length beside it; the private key is alive.
        let opened = unsafe {
            let context = context.0.as_ptr();
            OSSL_HPKE_decap(
                context,
                enc.as_ptr(),
                enc.len(),
                self.private.as_ptr(),
                info.as_ptr(),
                info.len(),
            ) == 1
                && OSSL_HPKE_open(
                    context,
                    text.as_mut_ptr(),
                    &raw mut length,
                    aad.as_ptr(),
                    aad.len(),
                    sealed.as_ptr(),
                    sealed.len(),
                ) == 1
        };
        text.truncate(length);
        opened.then_some(text)
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        // SAFETY: made by OSSL_HPKE_keygen, and freed once.
        unsafe { EVP_PKEY_free(self.private.as_ptr()) }
    }
}

/// Seals a text of at most [`TEXT_MAX`] bytes for whoever has the private half of `public`.
pub(crate) fn seal(public: &[u8], text: &[u8], info: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    if public.len() != KEY || text.is_empty() || text.len() > TEXT_MAX {
        return None;
    }
    let context = Context::new(SENDER)?;
    let (mut enc, mut enc_length) = ([0_u8; KEY], KEY);
    let mut sealed = vec![0_u8; text.len() + TAG];
    let mut length = sealed.len();
    // SAFETY: every pointer is valid for the length beside it.
    let done = unsafe {
        let context = context.0.as_ptr();
        OSSL_HPKE_encap(
            context,
            enc.as_mut_ptr(),
            &raw mut enc_length,
            public.as_ptr(),
            public.len(),
            info.as_ptr(),
            info.len(),
        ) == 1
            && OSSL_HPKE_seal(
                context,
                sealed.as_mut_ptr(),
                &raw mut length,
                aad.as_ptr(),
                aad.len(),
                text.as_ptr(),
                text.len(),
            ) == 1
    };
    (done && enc_length == KEY && length == sealed.len()).then(|| [&enc[..], &sealed].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_for_its_receiver_and_its_words_alone() {
        let (one, other) = (Opener::new().unwrap(), Opener::new().unwrap());
        assert_ne!(one.public(), other.public());
        let sealed = seal(one.public(), b"123456", b"info", b"aad").unwrap();
        let opened = |opener: &Opener, sealed: &[u8], info: &[u8], aad: &[u8]| {
            opener.open(sealed, info, aad).map(|text| text.to_vec())
        };
        let good = opened(&one, &sealed, b"info", b"aad");
        assert_eq!(good.as_deref(), Some(&b"123456"[..]));
        assert_eq!(opened(&other, &sealed, b"info", b"aad"), None);
        assert_eq!(opened(&one, &sealed, b"other", b"aad"), None);
        assert_eq!(opened(&one, &sealed, b"info", b"other"), None);
        for cut in 0..sealed.len() {
            assert_eq!(opened(&one, &sealed[..cut], b"info", b"aad"), None, "{cut}");
            let mut bent = sealed.clone();
            bent[cut] ^= 1;
            assert_eq!(opened(&one, &bent, b"info", b"aad"), None, "{cut}");
        }
        // Twice the same is not the same twice.
        assert_ne!(
            seal(one.public(), b"123456", b"info", b"aad").unwrap(),
            sealed
        );
        assert!(seal(one.public(), b"", b"", b"").is_none());
        assert!(seal(&[0; 31], b"x", b"", b"").is_none());
        assert!(seal(one.public(), &[b'x'; TEXT_MAX + 1], b"", b"").is_none());
    }
}
