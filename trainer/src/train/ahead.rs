//! Work that is done ahead, on threads that step back where the processor is full.
//!
//! A step of training keeps all cores busy but for moments. Threads that make its batches and are as important as those
//! that compute it slow it down by more than what they take, since each of its parts ends with its slowest thread: with
//! threads of the lowest priority instead, two cores made 8.6 to 9.5 steps a second of the shipped instruments' training
//! where they had made 7.0 to 7.3.
//!
//! Another program that takes all cores would stop such threads for seconds: beside two busy loops the same training made
//! 0.35 steps a second. So whoever needs what is late makes it: then 3.8, where threads of equal priority made 4.0.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use thread_priority::{ThreadPriority, set_current_thread_priority};

/// Items that are made for each thread before they are needed.
const AHEAD: usize = 3;
/// An item is late that takes so many times as long as the quickest did, and at least `LATE`.
const TIMES_LATE: u32 = 4;
const LATE: Duration = Duration::from_millis(100);
/// The same before any was made: threads prepare themselves first.
const LATE_FIRST: Duration = Duration::from_secs(10);

/// Runs `consume`, which takes the items of `range` one after the other from the function it is given. They are made on so
/// many threads, each with a maker of its own from `prepare`; item `i` may depend on nothing but `i`, so that it is the
/// same whoever makes it.
///
/// # Errors
/// Those of `consume`, which meets those of the makers where it takes what they could not make.
pub(super) fn produce<T: Send, M: FnMut(usize) -> Result<T>>(
    range: Range<usize>,
    threads: usize,
    prepare: impl Fn() -> Result<M> + Sync,
    consume: impl FnOnce(&mut dyn FnMut() -> Result<T>) -> Result<()>,
) -> Result<()> {
    // The pool begins here if it has not: begun by one of the threads below, it would step back as well.
    rayon::current_num_threads();
    let shelf = Shelf::new(range, threads * AHEAD);
    std::thread::scope(|scope| {
        let _end = End(&shelf);
        for _ in 0..threads {
            scope.spawn(|| {
                // Where the system refuses, it is merely slower.
                let _ = set_current_thread_priority(ThreadPriority::Min);
                shelf.fill(&prepare);
            });
        }
        let mut own = None;
        consume(&mut || match shelf.take() {
            Taken::Made(item) => item,
            Taken::Late(index) => {
                let maker = match &mut own {
                    Some(maker) => maker,
                    none => none.insert(prepare()?),
                };
                maker(index)
            }
        })
    })
}

/// What was made and not yet taken.
struct Shelf<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Items that may lie here or be in the making.
    most: usize,
    /// Behind the last item.
    end: usize,
}

struct State<T> {
    made: BTreeMap<usize, Result<T>>,
    /// Since when each item is in the making.
    begun: BTreeMap<usize, Instant>,
    /// The next item that is needed.
    wanted: usize,
    /// The next item that nobody makes.
    next: usize,
    /// When the last one was begun.
    last: Instant,
    /// The shortest time that one took.
    quickest: Option<Duration>,
    /// Nobody needs any more.
    over: bool,
}

enum Taken<T> {
    Made(Result<T>),
    /// It is not there in time.
    Late(usize),
}

impl<T> Shelf<T> {
    fn new(range: Range<usize>, most: usize) -> Self {
        let state = State {
            made: BTreeMap::new(),
            begun: BTreeMap::new(),
            wanted: range.start,
            next: range.start,
            last: Instant::now(),
            quickest: None,
            over: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), most, end: range.end }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes items until none is needed.
    fn fill<M: FnMut(usize) -> Result<T>>(&self, prepare: impl Fn() -> Result<M>) {
        let mut maker = match prepare() {
            Ok(maker) => maker,
            Err(refusal) => {
                if let Some(index) = self.begin() {
                    self.put(index, Err(refusal), None);
                }
                return;
            }
        };
        while let Some(index) = self.begin() {
            let began = Instant::now();
            let item = maker(index);
            self.put(index, item, Some(began.elapsed()));
        }
    }

    /// An item to make, as soon as there is room for it.
    fn begin(&self) -> Option<usize> {
        let waits =
            |state: &mut State<T>| !state.over && state.next < self.end && state.next >= state.wanted + self.most;
        let mut state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        if state.over || state.next >= self.end {
            return None;
        }
        let index = state.next;
        state.next += 1;
        state.last = Instant::now();
        let now = state.last;
        state.begun.insert(index, now);
        Some(index)
    }

    fn put(&self, index: usize, item: Result<T>, took: Option<Duration>) {
        let mut state = self.state();
        state.begun.remove(&index);
        state.quickest = state.quickest.into_iter().chain(took).min();
        // What came too late was made by others.
        if index >= state.wanted {
            state.made.insert(index, item);
        }
        self.changed.notify_all();
    }

    /// The item that is needed next.
    fn take(&self) -> Taken<T> {
        let mut state = self.state();
        let index = state.wanted;
        loop {
            let made = state.made.remove(&index);
            let patience = state.quickest.map_or(LATE_FIRST, |quickest| LATE.max(TIMES_LATE * quickest));
            // Where nobody has begun it, all threads are at something that they began before.
            let since = state.begun.get(&index).unwrap_or(&state.last).elapsed();
            if made.is_none() && since < patience {
                let waited = self.changed.wait_timeout(state, patience - since);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            state.wanted = index + 1;
            state.next = state.next.max(state.wanted);
            self.changed.notify_all();
            return made.map_or(Taken::Late(index), Taken::Made);
        }
    }
}

/// Ends the threads, also where the taker fails.
struct End<'a, T>(&'a Shelf<T>);

impl<T> Drop for End<'_, T> {
    fn drop(&mut self) {
        self.0.state().over = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use anyhow::bail;

    use super::*;

    /// Takes all of 0 to 40; what was made where.
    fn all(make: impl Fn(usize) -> Result<usize> + Sync) -> Result<Vec<usize>> {
        let mut taken = Vec::new();
        produce(
            0..40,
            2,
            || Ok(&make),
            |next| {
                for _ in 0..40 {
                    taken.push(next()?);
                }
                Ok(())
            },
        )?;
        Ok(taken)
    }

    #[test]
    fn items_come_in_order_though_a_thread_stands_still() {
        let (here, done) = (thread::current().id(), AtomicBool::new(false));
        let taken = all(|index| {
            // As long as the taker has not the item behind it.
            while index == 3 && thread::current().id() != here && !done.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            done.fetch_or(index == 39, Ordering::Relaxed);
            Ok(index * index)
        });
        assert_eq!(taken.unwrap(), (0..40).map(|i| i * i).collect::<Vec<_>>());
    }

    #[test]
    fn what_can_not_be_made_fails_where_it_is_needed() {
        let refused = all(|index| if index == 7 { bail!("no seven") } else { Ok(index) });
        assert_eq!(refused.unwrap_err().to_string(), "no seven");
        let taken =
            produce(0..9, 2, || if true { bail!("no maker") } else { Ok(Ok) }, |next| next().map(|_: usize| ()));
        assert_eq!(taken.unwrap_err().to_string(), "no maker");
    }
}
