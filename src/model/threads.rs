//! Where the threads of a kind come from.
//!
//! A thread inherits the filters of system calls of the thread that starts it. A maker is a
//! thread that was narrowed to what one kind of thread needs, and does nothing but start
//! threads of that kind: none of them has a filter to install, and none can leave one away.
//! Owns the hand-over alone. Which calls a kind makes is in `sys`; made by `startup`.

use std::hint::black_box;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{io, thread};

/// Stack of a maker, in bytes: it starts threads, and waits.
const STACK: usize = 64 * 1024;
/// What must be there before a maker is started, in bytes: without it the standard library
/// would say in words of its own that a thread that has begun gets no memory.
const ENOUGH: usize = 256 * 1024;

type Work = Box<dyn FnOnce() + Send>;

/// Cheap to clone; the maker's thread ends with the last clone. By default there is no maker:
/// whoever wants a thread starts it, and it may do what that one may.
#[derive(Debug, Clone, Default)]
pub struct Maker(Option<Sender<Order>>);

struct Order {
    builder: thread::Builder,
    work: Work,
    started: Sender<io::Result<()>>,
}

impl Maker {
    /// Starts the maker's thread, has it run `narrow`, and waits for what came of that.
    ///
    /// # Errors
    /// The outer: there is no thread. The inner: that of `narrow`, and the thread has ended.
    pub fn start<E: Send + 'static>(
        name: &str,
        narrow: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) -> io::Result<Result<Self, E>> {
        drop(black_box(Vec::<u8>::with_capacity(ENOUGH)));
        let (sender, orders) = channel();
        let (narrowed, answer) = channel();
        let builder = thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK);
        builder.spawn(move || {
            let result = narrow();
            let goes_on = result.is_ok();
            if narrowed.send(result).is_ok() && goes_on {
                serve(&orders);
            }
        })?;
        let result = answer.recv().map_err(|_| gone())?;
        Ok(result.map(|()| Self(Some(sender))))
    }

    /// Starts a thread of this kind.
    ///
    /// # Errors
    /// The system starts no other thread.
    pub fn spawn(
        &self,
        builder: thread::Builder,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let Some(maker) = &self.0 else {
            return builder.spawn(work).map(drop);
        };
        let (started, answer) = channel();
        let work = Box::new(work);
        let order = Order {
            builder,
            work,
            started,
        };
        maker.send(order).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

fn serve(orders: &Receiver<Order>) {
    for order in orders {
        let started = order.builder.spawn(order.work).map(drop);
        // Who ordered it may have been told to end.
        let _ = order.started.send(started);
    }
}

/// Cannot be met: a maker ends after those who could ask it, and a panic ends the process.
fn gone() -> io::Error {
    io::Error::other("the thread that starts threads of this kind has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_come_from_the_maker_if_there_is_one() {
        let (told, telling) = channel();
        let narrow = move || told.send(thread::current().id()).map_err(|_| ());
        let maker = Maker::start("makers", narrow).unwrap().unwrap();
        let of_the_maker = telling.recv().unwrap();
        assert_ne!(of_the_maker, thread::current().id());
        for maker in [maker, Maker::default()] {
            let (told, telling) = channel();
            let work = move || {
                told.send(thread::current().name().map(str::to_owned))
                    .unwrap()
            };
            let builder = thread::Builder::new().name("one".to_owned());
            maker.spawn(builder, work).unwrap();
            assert_eq!(telling.recv().unwrap().as_deref(), Some("one"));
        }
    }

    #[test]
    fn a_maker_that_cannot_be_narrowed_is_none() {
        let failed = Maker::start("makers", || Err("no filter")).unwrap();
        assert_eq!(failed.unwrap_err(), "no filter");
    }
}
