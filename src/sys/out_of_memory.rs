//! The last line of a server that got no memory: one JSON record, then the abort.
//!
//! The standard library would print a sentence of its own, and every line on stderr has to
//! be JSON. Owns the allocator of the program, which is the system's with that one
//! difference. Not for libssh2: its memory is asked of the system directly
//! ([`crate::ssh::libssh2::allocator`]), because it can be refused and go on.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::process::abort;
use std::ptr;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::libc;

/// Up to so many bytes glibc has memory of each size at hand, for each thread.
const SMALL: usize = 1024;

/// To be the program's `#[global_allocator]`.
pub struct RecordingAllocator;

// SAFETY: every call is the system allocator's with the same arguments; what it returns is
// handed on, or the process ends.
unsafe impl GlobalAlloc for RecordingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        there(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        there(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: the memory is the system allocator's, of this layout.
        unsafe {
            // A text that grows letter by letter is given more than it asks for; glibc's realloc
            // looks at the neighbours first, which takes a fifth of reading ten thousand hosts.
            if layout.size() < size && size <= libc::malloc_usable_size(memory.cast()) {
                return memory;
            }
            if size > SMALL || layout.align() > align_of::<u128>() {
                return there(System.realloc(memory, layout, size), size);
            }
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            ptr::copy_nonoverlapping(memory, new, layout.size().min(size));
            System.dealloc(memory, layout);
            new
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) };
    }
}

/// In builds for tests alone: how many more allocations there is memory for. `scripts/chaos`
/// finds it by its name and sets it in a server that runs; nothing else does.
#[cfg(debug_assertions)]
static ALLOCATIONS_LEFT: std::sync::atomic::AtomicUsize =
    std::sync::atomic::AtomicUsize::new(usize::MAX);

#[cfg(debug_assertions)]
fn is_refused() -> bool {
    ALLOCATIONS_LEFT.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 0
}

#[cfg(not(debug_assertions))]
const fn is_refused() -> bool {
    false
}

fn there(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() || is_refused() {
        end(size);
    }
    memory
}

/// Says it without allocating, and ends the process as a panic does.
#[cold]
fn end(size: usize) -> ! {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut line = Line::default();
    // Cannot fail: the line is bounded and fits.
    let _ = writeln!(
        line,
        "{{\"type\":\"out_of_memory\",\"level\":\"error\",\"ts\":{}.{:06},\"bytes\":{size},\
         \"message\":\"the system gives no more memory: raise the limit of the container or RLIMIT_AS\"}}",
        since.as_secs(),
        since.subsec_micros(),
    );
    let _ = nix::unistd::write(std::io::stderr(), line.written());
    abort();
}

/// A line on the stack.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; 256],
            length: 0,
        }
    }
}

impl Line {
    fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl std::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length.saturating_add(text.len());
        let place = self.bytes.get_mut(self.length..end);
        place
            .ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
