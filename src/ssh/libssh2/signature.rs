//! Whether a signature is a key's, by libssh2's own ways for host keys.
//!
//! Called through [`Session`] for the signature of an authority under a host's certificate.

use std::ffi::{CStr, c_void};
use std::ptr;

use crate::ssh::libssh2::Session;
use crate::ssh::libssh2::externs::ssh2_hostkey_methods;

impl Session {
    /// Whether `signature` (algorithm and signature, RFC 4253 section 6.6) over `signed` was made
    /// with the private half of `key` by this algorithm. False for an algorithm that this
    /// library does not know. The caller has seen that the signature names the algorithm.
    pub(in crate::ssh) fn verifies(
        &mut self,
        algorithm: &str,
        key: &[u8],
        signature: &[u8],
        signed: &[u8],
    ) -> bool {
        // SAFETY: a static list of pointers to static structures, with a null at its end; each
        // has a name that ends in NUL. What `init` puts into `context` is freed by `dtor` once,
        // and used by nothing after it. All other pointers are valid for the lengths beside
        // them, and only read.
        unsafe {
            let mut methods = ssh2_hostkey_methods();
            while let Some(method) = (*methods).as_ref() {
                if CStr::from_ptr(method.name).to_bytes() == algorithm.as_bytes() {
                    let mut context: *mut c_void = ptr::null_mut();
                    let made = (method.init)(self.ptr(), key.as_ptr(), key.len(), &mut context);
                    let good = made == 0
                        && !context.is_null()
                        && (method.sig_verify)(
                            self.ptr(),
                            signature.as_ptr(),
                            signature.len(),
                            signed.as_ptr(),
                            signed.len(),
                            &mut context,
                        ) == 0;
                    if !context.is_null() {
                        (method.dtor)(self.ptr(), &mut context);
                    }
                    return good;
                }
                methods = methods.add(1);
            }
            false
        }
    }
}
