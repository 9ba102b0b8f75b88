//! Unlocking a private key file, by libssh2's own reading of it.
//!
//! Called by [`crate::ssh::login::unlocked`] through [`Session`], like the rest.

use std::ffi::CStr;
use std::ptr;

use zeroize::Zeroizing;

use crate::ssh::libssh2::Session;
use crate::ssh::libssh2::externs::{ssh2_openssh_pem_parse, ssh2_string_buf_free};

impl Session {
    /// The private part of a key file of OpenSSH's form, decrypted; `None` if it is none, is not
    /// whole, or has another passphrase. As slow as the file was made to be.
    pub(crate) fn decrypt_key(
        &mut self,
        file: &[u8],
        passphrase: &CStr,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut decrypted = ptr::null_mut();
        // SAFETY: a live session; no name of a file; the key and the passphrase are valid for
        // the lengths beside them or NUL-terminated. What is made of them has `length` bytes at
        // `data`, is copied here, and freed (and wiped) once.
        unsafe {
            let code = ssh2_openssh_pem_parse(
                self.ptr(),
                ptr::null(),
                file.as_ptr().cast(),
                file.len(),
                passphrase.as_ptr(),
                &mut decrypted,
            );
            if decrypted.is_null() {
                return None;
            }
            let whole = code == 0 && !(*decrypted).data.is_null();
            let copy = whole.then(|| {
                let bytes = std::slice::from_raw_parts((*decrypted).data, (*decrypted).length);
                Zeroizing::new(bytes.to_vec())
            });
            ssh2_string_buf_free(self.ptr(), decrypted);
            copy
        }
    }
}
