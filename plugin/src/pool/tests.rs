#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::mpsc::sync_channel;
use std::thread;

use super::*;

/// A vector whose bytes say who wrote them.
fn filled(size: usize, mark: u8) -> Vec<u8> {
    std::hint::black_box(vec![mark; size])
}

#[test]
fn inside_a_scope_nothing_reaches_the_system_and_outside_everything_does() {
    let _share = Share::new(CHUNK);
    let scope = Scope::enter();
    for round in 0..1000 {
        let mut blocks: Vec<Vec<u8>> = (0..14_u8).map(|n| filled((60 << n) + round, n)).collect();
        blocks[3].extend_from_slice(&[9; 5000]);
        assert!(blocks.iter().zip(0..).all(|(block, n)| block[0] == n && block[59 << n] == n));
    }
    assert_eq!(scope.system_calls(), 0);
    drop(scope);
    let before = system_calls();
    drop(filled(100, 1));
    assert_eq!(system_calls() - before, 2);
}

#[test]
fn blocks_are_aligned_and_zeroed_as_asked_for() {
    let _share = Share::new(CHUNK);
    let _scope = Scope::enter();
    for align in [1, 8, 64, 128, 4096] {
        for size in [1, 63, 64, 65, 1000, 70_000] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the size is not 0, the block is given back with its layout, and read inside its size.
            unsafe {
                let dirty = Allocator.alloc(layout);
                assert_eq!(dirty as usize % align, 0, "{layout:?}");
                dirty.write_bytes(0xff, size);
                Allocator.dealloc(dirty, layout);
                let clean = Allocator.alloc_zeroed(layout);
                assert!((0..size).all(|n| clean.add(n).read() == 0), "{layout:?}");
                Allocator.dealloc(clean, layout);
            }
        }
    }
}

#[test]
fn what_is_too_large_or_too_much_is_served_by_the_system_and_counted() {
    let _share = Share::new(1);
    let scope = Scope::enter();
    drop(filled(CHUNK, 1));
    assert_eq!(scope.system_calls(), 2);
}

#[test]
fn threads_that_free_what_others_took_never_share_a_block() {
    let _share = Share::new(4 * CHUNK);
    thread::scope(|threads| {
        let mut senders = Vec::new();
        let mut receivers = Vec::new();
        for _ in 0..4 {
            let (sender, receiver) = sync_channel::<(u8, Vec<u8>)>(64);
            senders.push(sender);
            receivers.push(receiver);
        }
        for (worker, receiver) in (0..4_u8).zip(receivers) {
            let next = senders[(usize::from(worker) + 1) % 4].clone();
            threads.spawn(move || {
                let mut state = u32::from(worker) + 1;
                for round in 0..20_000_u32 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let mark = (worker << 6) | (round % 64) as u8;
                    let block = {
                        let _scope = Scope::enter();
                        vec![mark; 1 + (state >> 16) as usize % 3000]
                    };
                    // Where the neighbour is through or behind, the block is dropped outside of a scope, which is
                    // just as good.
                    let _ = next.try_send((mark, block));
                    while let Ok((mark, block)) = receiver.try_recv() {
                        assert!(block.iter().all(|&byte| byte == mark));
                        let _scope = Scope::enter();
                        drop(block);
                    }
                }
            });
        }
        drop(senders);
    });
}

#[test]
fn measuring_says_the_most_that_was_held() {
    let _share = Share::new(CHUNK);
    let (kept, most) = measure(|| {
        drop(filled(10_000, 1));
        filled(1000, 2)
    });
    assert_eq!(most, 16_384, "the most is a block of the next power of two");
    assert_eq!(kept[999], 2);
}
