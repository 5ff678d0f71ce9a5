//! What a step of each loader asks of the allocator, and that a reset asks for nothing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tocco_models::{Loader, Model, library};

thread_local! {
    /// Allocations of this thread, and what it holds above where the count began, now and at most, in bytes.
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn taken(bytes: usize) {
    COUNT.set(COUNT.get() + 1);
    HELD.set(HELD.get() + bytes.cast_signed());
    PEAK.set(PEAK.get().max(HELD.get()));
    LARGEST.set(LARGEST.get().max(bytes));
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size().cast_signed());
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of some work, the most bytes that it held at once, and its largest request.
fn counted(work: impl FnOnce()) -> (usize, isize, usize) {
    COUNT.set(0);
    HELD.set(0);
    PEAK.set(0);
    LARGEST.set(0);
    work();
    (COUNT.get(), PEAK.get(), LARGEST.get())
}

#[test]
fn a_step_asks_for_the_same_each_time_and_a_reset_for_nothing() {
    for (name, bytes) in library::all() {
        for loader in [Loader::Explicit, Loader::Pulse] {
            let model = Model::from_bytes_by(bytes, loader).unwrap();
            let mut runner = model.runner().unwrap();
            let input = vec![-5.0; model.card().step_input()];
            let mut logits = vec![0.0; model.card().classes.len()];
            let first = counted(|| runner.step(&input, &mut logits).unwrap());
            (0..50).for_each(|_| runner.step(&input, &mut logits).unwrap());
            let (warm, peak, largest) = counted(|| runner.step(&input, &mut logits).unwrap());
            let many = counted(|| (0..1000).for_each(|_| runner.step(&input, &mut logits).unwrap()));
            let kept = HELD.get();
            let reset = counted(|| runner.reset().unwrap());
            println!(
                "{name}, {loader:?}: first step {} allocations, {} bytes at once; warm {warm}, {peak} bytes, largest \
                 {largest}; reset {}",
                first.0, first.1, reset.0
            );
            assert_eq!(many.0, 1000 * warm, "{name}, {loader:?}");
            assert!(kept <= 0, "{name}, {loader:?}: a step keeps memory");
            assert_eq!(reset.0, 0, "{name}, {loader:?}: a reset allocates");
            // On a thread that never ran a step.
            let (cold, second, reset) = std::thread::scope(|scope| {
                let cold = scope.spawn(|| {
                    let cold = counted(|| runner.step(&input, &mut logits).unwrap());
                    let second = counted(|| runner.step(&input, &mut logits).unwrap());
                    (cold, second, counted(|| runner.reset().unwrap()))
                });
                cold.join().unwrap()
            });
            println!("    on a cold thread: first {cold:?}, second {second:?}, reset {reset:?}");
            assert_eq!(reset.0, 0, "{name}, {loader:?}: a reset allocates on a cold thread");
            if loader == Loader::Pulse {
                assert_eq!(cold.0, warm, "{name}: a cold thread makes scratch of its own");
            }
        }
    }
}
