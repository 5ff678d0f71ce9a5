//! Memory for the recognizer inside the audio thread.
//!
//! The network engine allocates at every step and keeps scratch in thread-locals, so the audio thread can run it only
//! where allocating never reaches the system. [`Allocator`] is this library's global allocator: it passes everything
//! on to the system, save on a thread that is inside a [`Scope`], which it serves from a pool.
//!
//! # Promises
//! - Inside a [`Scope`], taking and giving back memory of the pool is lock-free and makes no system call.
//! - The pool belongs to the process and is never given back: any thread may free into it at any time, and what a
//!   thread-local keeps stays valid when the instance that led to it is gone.
//! - An allocator can't refuse in the middle of a step. Where the pool is exhausted, the system serves, and the scope
//!   counts it.
//!
//! # How
//! Memory comes in chunks of a megabyte, aligned to their size. A block is a power of two of at least 64
//! bytes; it is cut from the chunk that is open and, once freed, waits on its size's stack for the next taker. The
//! stacks are Treiber's (IBM RJ 5118, 1986), with a tag against a head that comes back; their links lie beside the
//! blocks and not inside, so that nobody reads memory that another thread owns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Bytes of a chunk.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 20;
/// The smallest block, and what every block is aligned to at least.
const UNIT: usize = 64;
const UNITS: usize = CHUNK / UNIT;
/// Sizes of 64 bytes to 512 kB.
const SIZES: usize = 14;
/// A block is aligned to its size, up to this.
const MOST_ALIGNED: usize = 4096;
/// All chunks together: a gigabyte.
const MOST_CHUNKS: usize = 1024;
/// Places to look a chunk's address up; twice as many as chunks keep the ways short.
const PLACES: usize = 2 * MOST_CHUNKS;
/// A pool is so many times what was measured, since blocks of one size don't serve another.
const RESERVE: usize = 4;

/// A chunk's blocks.
struct Chunk {
    memory: *mut u8,
    /// For each unit at which a free block starts, the next free block of its size.
    links: Vec<AtomicU32>,
    /// For each unit at which a block starts, its size as an index.
    sizes: Vec<AtomicU8>,
}

/// Chunks in the order in which they are used up. Never freed.
static CHUNKS: [AtomicPtr<Chunk>; MOST_CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; MOST_CHUNKS];
static CHUNK_COUNT: AtomicUsize = AtomicUsize::new(0);
/// A chunk's number by its address: `address / CHUNK << 11 | number + 1`, 0 where there is none.
static ADDRESSES: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
/// Where the next block is cut: number of the chunk in the upper half, bytes in the lower.
static CURSOR: AtomicU64 = AtomicU64::new(0);
/// For each size the newest free block (number of chunk and unit, plus 1), and in the upper half the tag.
static FREE: [AtomicU64; SIZES] = [const { AtomicU64::new(0) }; SIZES];
/// What all [`Share`]s together were measured to need, in bytes. Growing happens under this lock.
static NEEDED: Mutex<usize> = Mutex::new(0);

thread_local! {
    /// Scopes this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Calls that reached the system's allocator from this thread, ever.
    static SYSTEM_CALLS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread's scopes took and did not give back, and the most of that.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// Calls of this thread that reached the system's allocator so far, whether inside a [`Scope`] or not.
#[must_use]
pub fn system_calls() -> u64 {
    SYSTEM_CALLS.try_with(Cell::get).unwrap_or(0)
}

/// Bytes in the pool, and those of them that were ever used.
#[must_use]
pub fn usage() -> (usize, usize) {
    let (chunk, offset) = cursor_parts(CURSOR.load(Ordering::Relaxed));
    (CHUNK_COUNT.load(Ordering::Acquire) * CHUNK, chunk * CHUNK + offset)
}

/// While it lives, this thread is served from the pool.
pub struct Scope {
    calls_before: u64,
    /// It speaks of the thread it was made on.
    not_send: PhantomData<*const ()>,
}

impl Scope {
    /// From here on the pool serves this thread.
    #[must_use]
    pub fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self { calls_before: system_calls(), not_send: PhantomData }
    }

    /// Calls that reached the system since then: 0 where all is well.
    #[must_use]
    pub fn system_calls(&self) -> u64 {
        system_calls() - self.calls_before
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs `work` inside a scope; says too how many bytes it held at most, of the pool and, where that did not suffice, of
/// the system.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let (held, before) = HELD.get();
    HELD.set((held, held));
    let scope = Scope::enter();
    let result = work();
    drop(scope);
    let (now, most) = HELD.get();
    HELD.set((now, most.max(before)));
    (result, usize::try_from(most - held).unwrap_or(0))
}

/// One recognizer's part of the pool. Dropping it makes room for the next; the memory stays.
#[derive(Debug)]
pub struct Share(usize);

impl Share {
    /// For a recognizer that was measured to hold `bytes`. Grows the pool; not for the audio thread.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let mut needed = crate::instance::lock(&NEEDED);
        *needed += bytes;
        // Blocks of other models may have other sizes: there is room for this one in what was never used, too.
        grow_to((RESERVE * *needed).max(usage().1 + RESERVE * bytes));
        Self(bytes)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut needed = crate::instance::lock(&NEEDED);
        *needed = needed.saturating_sub(self.0);
    }
}

/// Grows the pool to at least so many bytes, as far as the system and the table of chunks allow. Under [`NEEDED`].
fn grow_to(bytes: usize) {
    let wanted = bytes.div_ceil(CHUNK).clamp(1, MOST_CHUNKS);
    while CHUNK_COUNT.load(Ordering::Acquire) < wanted {
        let number = CHUNK_COUNT.load(Ordering::Acquire);
        let Some(chunk) = Chunk::new() else { return };
        remember(chunk.memory as usize, number);
        CHUNKS[number].store(Box::into_raw(Box::new(chunk)), Ordering::Release);
        CHUNK_COUNT.store(number + 1, Ordering::Release);
    }
}

fn remember(address: usize, number: usize) {
    let key = (address >> CHUNK_BITS) as u64;
    for place in places(address) {
        if ADDRESSES[place].load(Ordering::Relaxed) == 0 {
            return ADDRESSES[place].store(key << 11 | (number as u64 + 1), Ordering::Release);
        }
    }
}

/// Where to look for the chunk of an address, one place after the other.
fn places(address: usize) -> impl Iterator<Item = usize> {
    // Knuth's multiplicative hash, so that neighbours do not stand in each other's way.
    let first = ((address >> CHUNK_BITS) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53;
    (0..PLACES).map(move |step| (first as usize + step) % PLACES)
}

/// The number of the chunk in which an address lies.
fn chunk_of(address: usize) -> Option<usize> {
    if CHUNK_COUNT.load(Ordering::Acquire) == 0 {
        return None;
    }
    let key = (address >> CHUNK_BITS) as u64;
    for place in places(address) {
        let entry = ADDRESSES[place].load(Ordering::Acquire);
        if entry == 0 {
            return None;
        }
        if entry >> 11 == key {
            return Some((entry & 0x7ff) as usize - 1);
        }
    }
    None
}

fn chunk(number: usize) -> Option<&'static Chunk> {
    let chunk = CHUNKS.get(number)?.load(Ordering::Acquire);
    // SAFETY: a chunk is written before its pointer is published and lives as long as the process.
    unsafe { chunk.as_ref() }
}

impl Chunk {
    fn new() -> Option<Self> {
        let layout = Layout::from_size_align(CHUNK, CHUNK).ok()?;
        // SAFETY: the size is not 0.
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() {
            return None;
        }
        // Written once, so that the audio thread meets no page that the system has yet to find.
        // SAFETY: the block is this large and nobody else's.
        unsafe { memory.write_bytes(1, CHUNK) };
        let links = (0..UNITS).map(|_| AtomicU32::new(1)).collect();
        let sizes = (0..UNITS).map(|_| AtomicU8::new(1)).collect();
        Some(Self { memory, links, sizes })
    }
}

/// The size, as an index, that serves a layout.
fn size_for(layout: Layout) -> Option<usize> {
    let bytes = layout.size().max(layout.align()).max(UNIT).checked_next_power_of_two()?;
    let size = (bytes / UNIT).trailing_zeros() as usize;
    (size < SIZES && layout.align() <= MOST_ALIGNED).then_some(size)
}

fn bytes_of(size: usize) -> usize {
    UNIT << size
}

#[expect(clippy::cast_possible_truncation, reason = "halves of 64 bits")]
fn cursor_parts(cursor: u64) -> (usize, usize) {
    ((cursor >> 32) as usize, cursor as u32 as usize)
}

/// A free block of this size, or a new one, or where there is no room for one, a free block that is larger.
fn take(size: usize) -> Option<*mut u8> {
    let (size, block) = pop(size)
        .or_else(|| cut(size))
        .map(|block| (size, block))
        .or_else(|| (size + 1..SIZES).find_map(|size| Some((size, pop(size)?))))?;
    note(bytes_of(size), true);
    Some(block)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of 64 bits")]
fn pop(size: usize) -> Option<*mut u8> {
    let mut head = FREE[size].load(Ordering::Acquire);
    loop {
        let block = (head as u32).checked_sub(1)? as usize;
        let (chunk, unit) = (chunk(block / UNITS)?, block % UNITS);
        let next = u64::from(chunk.links[unit].load(Ordering::Relaxed));
        let tagged = (head >> 32).wrapping_add(1) << 32 | next;
        match FREE[size].compare_exchange_weak(head, tagged, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: a unit lies inside its chunk.
            Ok(_) => return Some(unsafe { chunk.memory.add(unit * UNIT) }),
            Err(now) => head = now,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "24 bits of chunk and unit, sizes under 14")]
fn cut(size: usize) -> Option<*mut u8> {
    let bytes = bytes_of(size);
    let mut cursor = CURSOR.load(Ordering::Relaxed);
    loop {
        let (mut number, offset) = cursor_parts(cursor);
        let mut start = offset.next_multiple_of(bytes.min(MOST_ALIGNED));
        if start + bytes > CHUNK {
            // What is left of this chunk stays unused: at most one block of this size.
            (number, start) = (number + 1, 0);
        }
        let chunk = chunk(number)?;
        let next = (number as u64) << 32 | (start + bytes) as u64;
        match CURSOR.compare_exchange_weak(cursor, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                chunk.sizes[start / UNIT].store(size as u8, Ordering::Relaxed);
                // SAFETY: `start + bytes` lies inside the chunk.
                return Some(unsafe { chunk.memory.add(start) });
            }
            Err(now) => cursor = now,
        }
    }
}

/// Puts a block back; false where it is none of the pool's.
fn give_back(pointer: *mut u8) -> bool {
    let Some((number, chunk)) = chunk_of(pointer as usize).and_then(|number| Some((number, chunk(number)?))) else {
        return false;
    };
    let unit = (pointer as usize - chunk.memory as usize) / UNIT;
    let size = usize::from(chunk.sizes[unit].load(Ordering::Relaxed));
    push(size, number * UNITS + unit, &chunk.links[unit]);
    note(bytes_of(size), false);
    true
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of 64 bits, and 24 bits of chunk and unit")]
fn push(size: usize, block: usize, link: &AtomicU32) {
    let mut head = FREE[size].load(Ordering::Relaxed);
    loop {
        link.store(head as u32, Ordering::Relaxed);
        let tagged = (head >> 32).wrapping_add(1) << 32 | (block as u64 + 1);
        match FREE[size].compare_exchange_weak(head, tagged, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => head = now,
        }
    }
}

/// Counts what this thread holds.
fn note(bytes: usize, taken: bool) {
    // Thread-locals may be gone while a thread ends: then nobody measures.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let change = isize::try_from(bytes).unwrap_or(0);
        let now = if taken { now + change } else { now - change };
        held.set((now, most.max(now)));
    });
}

fn is_served() -> bool {
    DEPTH.try_with(Cell::get).unwrap_or(0) > 0
}

fn count_system_call(layout: Layout, taken: bool) {
    let _ = SYSTEM_CALLS.try_with(|calls| calls.set(calls.get() + 1));
    if is_served() {
        note(layout.size(), taken);
    }
}

/// This library's allocator.
pub struct Allocator;

// SAFETY: a block comes from the system or from the pool and goes back to where it came from; blocks of the pool are at
// least as large and as aligned as asked for, and nobody else's until they are given back.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_served()
            && let Some(block) = size_for(layout).and_then(take)
        {
            return block;
        }
        count_system_call(layout, true);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_served()
            && let Some(block) = size_for(layout).and_then(take)
        {
            // SAFETY: the block is at least as large.
            unsafe { block.write_bytes(0, layout.size()) };
            return block;
        }
        count_system_call(layout, true);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if give_back(pointer) {
            return;
        }
        count_system_call(layout, false);
        // SAFETY: the block is none of the pool's, so it is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_served() && chunk_of(pointer as usize).is_none() {
            count_system_call(layout, true);
            // SAFETY: the block is none of the pool's, so it is the system's.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        // SAFETY: the caller promises that `size` is valid with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if chunk_of(pointer as usize).is_some() && size_for(layout) == size_for(wanted) {
            return pointer;
        }
        // SAFETY: both blocks are at least as large as what is copied, and distinct.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests;
