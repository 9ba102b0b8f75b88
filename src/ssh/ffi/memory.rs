//! The memory of libssh2's sessions: counted while it is held, wiped when it is given back.
//!
//! libssh2 keeps passwords and decrypted keys in buffers that it frees as they are; here
//! every one of them passes through [`release`]. Also the one way secrets are passed as C
//! strings. Called by libssh2 itself, and by the callbacks for what libssh2 will free.

use std::alloc::Layout;
use std::ffi::{CStr, c_void};
use std::ptr;

use zeroize::{Zeroize, Zeroizing};

use crate::ssh::wire::Wire;

/// The wire of the session that a callback was called for.
///
/// # Safety
/// `context` is libssh2's pointer to the session's abstract pointer, which [`Session::new`]
/// set to a wire that outlives the session.
pub(super) unsafe fn wire_of<'a>(context: *mut *mut c_void) -> &'a Wire {
    // SAFETY: the caller's promise.
    unsafe { &*(*context).cast::<Wire>() }
}

/// Before each allocation: its size. Keeps what follows aligned as malloc would.
const HEADER: usize = 16;

pub(super) extern "C" fn allocate(size: usize, context: *mut *mut c_void) -> *mut c_void {
    let Some(total) = size.checked_add(HEADER) else {
        return ptr::null_mut();
    };
    let Ok(layout) = Layout::from_size_align(total, HEADER) else {
        return ptr::null_mut();
    };
    // SAFETY: the layout is not empty; the header is within it and aligned; the context is
    // a session's, or the one passed to `libssh2_session_init_ex`, and holds its wire.
    unsafe {
        let base = std::alloc::alloc(layout);
        if base.is_null() {
            return ptr::null_mut();
        }
        base.cast::<usize>().write(total);
        wire_of(context).note_allocated(total);
        base.add(HEADER).cast()
    }
}

pub(super) extern "C" fn release(memory: *mut c_void, context: *mut *mut c_void) {
    if memory.is_null() {
        return;
    }
    // SAFETY: `memory` came from `allocate`, so its size is before it. The context may lie
    // within it (the session frees itself), so it is used first.
    unsafe {
        let base = memory.cast::<u8>().sub(HEADER);
        let total = base.cast::<usize>().read();
        wire_of(context).note_freed(total);
        wipe(base, total);
        std::alloc::dealloc(base, Layout::from_size_align_unchecked(total, HEADER));
    }
}

pub(super) extern "C" fn reallocate(
    memory: *mut c_void,
    size: usize,
    context: *mut *mut c_void,
) -> *mut c_void {
    let new = allocate(size, context);
    if memory.is_null() || new.is_null() {
        return new;
    }
    // SAFETY: both came from `allocate`, so the old size is before the old memory.
    unsafe {
        let old = memory
            .cast::<u8>()
            .sub(HEADER)
            .cast::<usize>()
            .read()
            .saturating_sub(HEADER);
        ptr::copy_nonoverlapping(memory.cast::<u8>(), new.cast::<u8>(), old.min(size));
    }
    release(memory, context);
    new
}

/// # Safety
/// `base` is valid for `total` bytes, whose contents nobody needs any more.
unsafe fn wipe(base: *mut u8, total: usize) {
    // SAFETY: the caller's promise. The fence in `zeroize` keeps this from being left out.
    unsafe { std::slice::from_raw_parts_mut(base, total) }.zeroize();
}

/// A NUL-terminated copy that is wiped when dropped; `None` if there is a NUL within.
pub(in crate::ssh) struct SecretCString(Zeroizing<Vec<u8>>);

impl SecretCString {
    pub(in crate::ssh) fn new(secret: &[u8]) -> Option<Self> {
        if secret.contains(&0) {
            return None;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(secret.len().saturating_add(1)));
        bytes.extend_from_slice(secret);
        bytes.push(0);
        Some(Self(bytes))
    }

    pub(in crate::ssh) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.0).unwrap_or(c"")
    }
}
