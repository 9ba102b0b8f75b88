//! How far a long reading has come, for a person at a terminal.
//!
//! Owns one line on stderr that is written over itself, and taken away at the end; nothing
//! where stderr is no terminal. Called by `audit verify`.

use std::cell::RefCell;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;

use crate::audit::chain::inputs::{self, Input};

/// Less than this is read before anybody wonders.
const WORTH_IT: u64 = 32 * 1024 * 1024;
/// Cells of the bar.
const CELLS: u64 = 40;

#[derive(Default)]
struct Bar {
    read: u64,
    total: u64,
    cells: Option<u64>,
}

/// The bar, if there is to be one.
pub(crate) struct Progress(Option<Rc<RefCell<Bar>>>);

impl Progress {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// For as many bytes as these files have.
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        if !io::stderr().is_terminal() || !io::stdout().is_terminal() {
            return Self::none();
        }
        let groups = inputs::groups(paths).unwrap_or_default();
        let files = groups.iter().flat_map(|group| &group.files);
        let sizes = files.filter_map(|path| Some(path.metadata().ok()?.len()));
        let total = sizes.sum();
        let bar = Bar {
            total,
            ..Bar::default()
        };
        Self((total >= WORTH_IT).then(|| Rc::new(RefCell::new(bar))))
    }

    /// The same input, counted.
    pub(crate) fn watch(&self, mut input: Input<'static>) -> Input<'static> {
        if let Some(bar) = &self.0 {
            let (from, bar) = (input.reader, Rc::clone(bar));
            input.reader = Box::new(BufReader::new(Counted { from, bar }));
        }
        input
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.cells.is_some() {
            // Nobody is told of a terminal that is gone.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Bar {
    fn add(&mut self, bytes: usize) {
        self.read += u64::try_from(bytes).unwrap_or_default();
        let cells = (self.read * CELLS / self.total.max(1)).min(CELLS);
        if self.cells != Some(cells) {
            self.cells = Some(cells);
            let done = "#".repeat(usize::try_from(cells).unwrap_or_default());
            let left = "-".repeat(usize::try_from(CELLS - cells).unwrap_or_default());
            let percent = cells * 100 / CELLS;
            let _ = write!(io::stderr(), "\r[{done}{left}] {percent:>3} %");
        }
    }
}

struct Counted<R> {
    from: R,
    bar: Rc<RefCell<Bar>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(to)?;
        self.bar.borrow_mut().add(count);
        Ok(count)
    }
}
