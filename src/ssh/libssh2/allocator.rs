//! The memory of libssh2's sessions: counted while it is held, wiped when it is given back.
//!
//! libssh2 keeps passwords and decrypted keys in buffers that it frees as they are; here
//! every one of them passes through [`release`]. Also the one way secrets are passed as C
//! strings. Called by libssh2 itself, and by the callbacks for what libssh2 will free.

use std::alloc::{GlobalAlloc as _, Layout, System};
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use nix::libc;
use zeroize::{Zeroize, Zeroizing};

use crate::ssh::transport::buffers::Wire;

/// The wire of the session that a callback was called for.
///
/// # Safety
/// `context` is libssh2's pointer to the session's abstract pointer, which `Session::new`
/// set to a wire that outlives the session.
pub(crate) unsafe fn wire_of<'a>(context: *mut *mut c_void) -> &'a Wire {
    // SAFETY: the caller's promise.
    unsafe { &*(*context).cast::<Wire>() }
}

/// Before each allocation: its size. Keeps what follows aligned as malloc would.
const HEADER: usize = 16;

/// In builds for tests alone: how many more allocations of libssh2 there is memory for.
/// `scripts/chaos` finds it by its name and sets it in a server that runs; nothing else does.
#[cfg(debug_assertions)]
static LIBSSH2_ALLOCATIONS_LEFT: std::sync::atomic::AtomicUsize =
    std::sync::atomic::AtomicUsize::new(usize::MAX);

#[cfg(debug_assertions)]
fn is_refused() -> bool {
    LIBSSH2_ALLOCATIONS_LEFT.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 0
}

#[cfg(not(debug_assertions))]
const fn is_refused() -> bool {
    false
}

pub(crate) extern "C" fn allocate(size: usize, context: *mut *mut c_void) -> *mut c_void {
    if is_refused() {
        return ptr::null_mut();
    }
    let Some(total) = size.checked_add(HEADER) else {
        return ptr::null_mut();
    };
    let Ok(layout) = Layout::from_size_align(total, HEADER) else {
        return ptr::null_mut();
    };
    // SAFETY: the layout is not empty; the header is within it and aligned; the context is
    // a session's, or the one passed to `libssh2_session_init_ex`, and holds its wire.
    unsafe {
        // Of the system, not of the program's own allocator: libssh2 may be refused memory.
        let base = System.alloc(layout);
        if base.is_null() {
            return ptr::null_mut();
        }
        base.cast::<usize>().write(total);
        wire_of(context).note_allocated(total);
        base.add(HEADER).cast()
    }
}

pub(crate) extern "C" fn release(memory: *mut c_void, context: *mut *mut c_void) {
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
        System.dealloc(base, Layout::from_size_align_unchecked(total, HEADER));
    }
}

pub(crate) extern "C" fn reallocate(
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

/// Gives the pages of an allocation back to the system that hold nothing but zeros: they are
/// zeros again when they are next touched. libssh2 clears the whole of a new session, most of
/// which is two buffers for packets larger than a host ever sends.
///
/// # Safety
/// `memory` came from [`allocate`], was written whole, and nobody else uses it meanwhile.
pub(crate) unsafe fn give_back_zeros(memory: *mut c_void) {
    // SAFETY: takes a number, gives a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Some(page) = usize::try_from(page).ok().filter(|page| *page > 0) else {
        return;
    };
    let memory = memory.cast::<u8>();
    // SAFETY: the size is before the memory, which `allocate` gave.
    let length = unsafe { memory.sub(HEADER).cast::<usize>().read() } - HEADER;
    let first = memory.align_offset(page);
    let pages = length.saturating_sub(first) / page;
    let mut zeros = 0;
    for number in 0..=pages {
        let start = memory.wrapping_add(first + number * page);
        // SAFETY: a whole page within the allocation, which the caller says was written.
        let is_zero = || unsafe { std::slice::from_raw_parts(start, page) };
        if number < pages && is_zero().iter().all(|byte| *byte == 0) {
            zeros += page;
            continue;
        }
        // SAFETY: whole pages of this allocation alone, which hold zeros.
        unsafe { let_go(start.wrapping_sub(zeros), zeros) };
        zeros = 0;
    }
}

/// # Safety
/// Whole pages that hold zeros, of memory that is private and anonymous, as all of the
/// allocator's is.
unsafe fn let_go(start: *mut u8, length: usize) {
    if length > 0 {
        // SAFETY: the caller's promise: what the system puts there is what was there. Where
        // it refuses, nothing has changed.
        let _ = unsafe { libc::madvise(start.cast(), length, libc::MADV_DONTNEED) };
    }
}

/// # Safety
/// `base` is valid for writes of `total` bytes, whose contents nobody needs any more.
unsafe fn wipe(base: *mut u8, total: usize) {
    // libssh2 need not have written all that it asked for, so these may be bytes of no value.
    // SAFETY: the caller's promise. The fence in `zeroize` keeps this from being left out.
    unsafe { std::slice::from_raw_parts_mut(base.cast::<MaybeUninit<u8>>(), total) }.zeroize();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A session's abstract pointer, as libssh2 passes it.
    fn with_context(test: impl FnOnce(*mut *mut c_void, &Wire)) {
        let wire = Wire::default();
        let mut context: *mut c_void = (&raw const wire).cast_mut().cast();
        test(&raw mut context, &wire);
        assert_eq!(wire.allocated(), 0, "something was not given back");
    }

    fn fill(memory: *mut c_void, from: usize, to: usize) {
        for at in from..to {
            // SAFETY: the test allocated at least `to` bytes.
            unsafe {
                memory
                    .cast::<u8>()
                    .add(at)
                    .write(u8::try_from(at % 251).unwrap())
            };
        }
    }

    fn holds(memory: *mut c_void, size: usize) -> bool {
        // SAFETY: the test allocated and filled at least `size` bytes.
        let bytes = unsafe { std::slice::from_raw_parts(memory.cast::<u8>(), size) };
        bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| usize::from(*byte) == at % 251)
    }

    #[test]
    fn what_was_allocated_is_aligned_apart_and_counted() {
        with_context(|context, wire| {
            let sizes = [0, 1, 15, 16, 17, 4096, 70_000];
            let all = sizes.map(|size| allocate(size, context));
            for (memory, size) in all.iter().zip(sizes) {
                assert!(memory.cast::<u128>().is_aligned());
                fill(*memory, 0, size);
            }
            let total: usize = sizes.iter().map(|size| size + HEADER).sum();
            assert_eq!(wire.allocated(), total);
            for (memory, size) in all.into_iter().zip(sizes) {
                assert!(holds(memory, size));
                release(memory, context);
            }
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "makes a system call that Miri has not")]
    fn pages_of_zeros_are_given_back_and_read_as_before() {
        with_context(|context, _| {
            const SIZE: usize = 100_000;
            for marked in [&[0, SIZE - 1][..], &[40_000], &[]] {
                let memory = allocate(SIZE, context);
                // SAFETY: as much as was allocated.
                let bytes = unsafe {
                    memory.cast::<u8>().write_bytes(0, SIZE);
                    std::slice::from_raw_parts_mut(memory.cast::<u8>(), SIZE)
                };
                marked.iter().for_each(|at| bytes[*at] = 7);
                let resident = || {
                    let (page, mut pages) = (4096, [0_u8; SIZE / 4096 + 2]);
                    let start = memory.map_addr(|at| at & !(page - 1));
                    // SAFETY: there is a byte for each page of the allocation.
                    let told = unsafe { libc::mincore(start, SIZE, pages.as_mut_ptr()) };
                    assert_eq!(told, 0);
                    pages.iter().filter(|page| **page & 1 == 1).count()
                };
                let before = resident();
                // SAFETY: the memory is an allocation, written whole above.
                unsafe { give_back_zeros(memory) };
                assert!(
                    before >= SIZE / 4096 && resident() <= 4,
                    "{before}, {}",
                    resident()
                );
                let found = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
                let found: Vec<usize> = found.map(|(at, _)| at).collect();
                assert_eq!(found, marked);
                release(memory, context);
            }
        });
    }

    #[test]
    fn what_moves_keeps_its_bytes() {
        with_context(|context, _| {
            let mut memory = reallocate(ptr::null_mut(), 10, context);
            fill(memory, 0, 10);
            let mut kept = 10;
            for size in [10, 11, 5000, 100, 3, 0, 64] {
                memory = reallocate(memory, size, context);
                kept = kept.min(size);
                assert!(holds(memory, kept));
            }
            release(memory, context);
            release(ptr::null_mut(), context);
        });
    }

    #[test]
    fn what_cannot_be_had_is_null_and_loses_nothing() {
        with_context(|context, _| {
            let memory = allocate(8, context);
            fill(memory, 0, 8);
            for size in [usize::MAX, usize::MAX - HEADER, isize::MAX.unsigned_abs()] {
                assert!(allocate(size, context).is_null());
                assert!(reallocate(memory, size, context).is_null());
            }
            assert!(holds(memory, 8));
            release(memory, context);
        });
    }

    #[test]
    fn wiping_leaves_nothing() {
        let mut bytes = *b"a decrypted key";
        // SAFETY: these are all bytes of the array.
        unsafe { wipe(bytes.as_mut_ptr(), bytes.len()) };
        assert_eq!(bytes, [0; 15]);
    }

    #[test]
    fn a_secret_ends_where_c_strings_do() {
        assert_eq!(SecretCString::new(b"pass").unwrap().as_c_str(), c"pass");
        assert_eq!(SecretCString::new(b"").unwrap().as_c_str(), c"");
        assert!(SecretCString::new(b"a\0b").is_none());
    }
}
