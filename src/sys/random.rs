//! The kernel's random bytes.
//!
//! getrandom(2) itself, because a library would look for it by name, which a static
//! binary does not have, and then for /dev/urandom, which the sandbox does not grant.
//! Called by `startup`, for the key with which `mcp` marks what it hands out.

use std::io;

use nix::errno::Errno;
use nix::libc;

/// A fresh key.
///
/// # Errors
/// The kernel has no such call, or a filter forbids it.
pub(crate) fn key() -> io::Result<[u8; 64]> {
    let mut key = [0_u8; 64];
    loop {
        // SAFETY: the pointer and the length are those of `key`, which outlives the call.
        let count = unsafe { libc::getrandom(key.as_mut_ptr().cast(), key.len(), 0) };
        match Errno::result(count) {
            // Requests of up to 256 bytes are never answered in part (getrandom(2)).
            Ok(_) => return Ok(key),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_are_equal() {
        assert_ne!(key().unwrap(), key().unwrap());
    }
}
