//! Unlocking a private key file, by libssh2's own reading of it, and its public half.
//!
//! Called by [`crate::ssh::login::unlocked`] and [`crate::ssh::login::auth`] through [`Session`], like the rest.

use std::ffi::CStr;
use std::ptr;

use libssh2_sys as sys;
use zeroize::Zeroizing;

use crate::ssh::libssh2::externs::{
    ssh2_openssh_pem_parse, ssh2_pub_privkey, ssh2_string_buf_free,
};
use crate::ssh::libssh2::{Fault, Session};

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

    /// The blob of the public half of a private key, which is as slow to make as the file is
    /// to decrypt.
    ///
    /// # Errors
    /// The file is not read, or its passphrase is another.
    pub(crate) fn public_half(&mut self, file: &[u8], passphrase: &CStr) -> Result<Vec<u8>, Fault> {
        let (mut method, mut public, mut length) = (ptr::null_mut(), ptr::null_mut(), 0);
        // SAFETY: a live session; no name of a file; the key and the passphrase are valid for
        // the lengths beside them or NUL-terminated. What is made of them is null or has
        // `length` bytes at `public`; it is copied here, and both are freed once.
        unsafe {
            let code = ssh2_pub_privkey(
                self.ptr(),
                &mut method,
                &mut public,
                &mut length,
                ptr::null(),
                file.as_ptr().cast(),
                file.len(),
                passphrase.as_ptr(),
            );
            let blob = (code == 0 && !public.is_null())
                .then(|| std::slice::from_raw_parts(public, length).to_vec());
            sys::libssh2_free(self.ptr(), method.cast());
            sys::libssh2_free(self.ptr(), public.cast());
            self.done(code)?;
            blob.ok_or_else(|| Fault::new(sys::LIBSSH2_ERROR_FILE, "no public half"))
        }
    }
}
