//! The plugin's promises about speed and memory, as one table: `cargo xtask bench`.
//!
//! `process()` is timed call by call in each mode, as a host would call it; then many instances are run for a minute of
//! sound with all their hops in the same block, and the worst whole block is set against the block's duration. Wall time
//! counts what other programs took too, so the thread's own time stands beside it.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod cost;
mod crowd;
#[path = "../../tests/host/mod.rs"]
mod host;
mod stages;
mod table;

use table::Table;

fn main() {
    // `cargo test --benches` only asks whether it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let quick = std::env::args().any(|argument| argument == "--quick");
    let mut table = Table::default();
    stages::measure(&mut table);
    stages::load(&mut table);
    cost::measure(&mut table, if quick { 20_000 } else { 1_000_000 });
    crowd::memory(&mut table);
    crowd::measure(&mut table, if quick { 2.0 } else { 60.0 });
    table::bundles(&mut table);
    table.print();
}
