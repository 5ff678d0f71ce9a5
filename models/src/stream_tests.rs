#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// Numbers the samples by their position, so that a wrong position shows.
fn push(input: &mut SoundInput, length: usize) {
    let from = input.position();
    input.push(length, (from..).map(|n| n as f32));
}

/// Reads all there is and checks that each sample lies where the output says; returns what was lost.
fn read_all(output: &mut SoundOutput) -> (u64, u64) {
    let (mut heard, mut lost) = (0, 0);
    let mut buffer = [0.0; 37];
    loop {
        let before = output.position;
        match output.next(&mut buffer) {
            None => return (heard, lost),
            Some(Piece::Sound(taken)) => {
                for (i, &sample) in buffer[..taken].iter().enumerate() {
                    assert!((sample - (before + i as u64) as f32).abs() < 0.5, "position {before} + {i} held {sample}");
                }
                heard += taken as u64;
            }
            Some(Piece::Gap(missing)) => lost += missing,
            Some(Piece::Reset { .. }) => {}
        }
    }
}

#[test]
fn a_full_ring_leaves_out_whole_blocks_and_positions_stay_right() {
    let (mut input, mut output) = sound(256);
    for _ in 0..5 {
        push(&mut input, 100);
    }
    assert_eq!(read_all(&mut output), (200, 0), "the gap is told with the first block behind it");
    push(&mut input, 100);
    assert_eq!(read_all(&mut output), (100, 300));
    assert_eq!(output.position, input.position());
}

#[test]
fn dropping_keeps_the_newest_and_counts_the_gaps_within() {
    let (mut input, mut output) = sound(1000);
    push(&mut input, 300);
    input.leave_out(50);
    push(&mut input, 300);
    assert_eq!(output.drop_to_newest(40), 610);
    assert_eq!(read_all(&mut output), (40, 0));
    assert_eq!(output.position, 650);
    assert_eq!(output.drop_to_newest(40), 0);
}

#[test]
fn a_reset_takes_effect_at_its_place() {
    let (mut input, mut output) = sound(1000);
    push(&mut input, 300);
    input.leave_out(10);
    push(&mut input, 20);
    let generation = input.reset();
    push(&mut input, 100);
    input.leave_out(5);
    push(&mut input, 7);
    assert_eq!(output.next(&mut [0.0; 8]), Some(Piece::Reset { position: 330 }));
    assert_eq!(output.generation(), generation);
    assert_eq!(read_all(&mut output), (107, 5));
    assert_eq!(output.position, input.position());
}

#[test]
fn a_waiting_reset_is_never_dropped_with_the_sound() {
    let (mut input, mut output) = sound(1000);
    push(&mut input, 300);
    input.reset();
    push(&mut input, 10);
    input.leave_out(30);
    push(&mut input, 300);
    assert_eq!(output.drop_to_newest(40), 0);
    assert_eq!(output.next(&mut [0.0; 8]), Some(Piece::Reset { position: 300 }));
    assert_eq!(output.drop_to_newest(40), 300);
    assert_eq!(read_all(&mut output), (40, 0));
    assert_eq!(output.position, input.position());
}

#[test]
fn two_threads_agree_on_every_position() {
    let (mut input, mut output) = sound(700);
    let writer = std::thread::spawn(move || {
        for i in 0_usize..4000 {
            push(&mut input, 1 + i * 7919 % 190);
            if i % 97 == 0 {
                input.reset();
            }
            if i % 5 == 0 {
                std::thread::yield_now();
            }
        }
        // A block that fits, so that the last gap is told.
        while input.samples.occupied_len() > 0 {
            std::thread::yield_now();
        }
        push(&mut input, 1);
        input.position()
    });
    let mut rounds = 0;
    while !writer.is_finished() {
        read_all(&mut output);
        rounds += 1;
        if rounds % 3 == 0 {
            output.drop_to_newest(50);
        }
    }
    read_all(&mut output);
    assert_eq!(output.position, writer.join().unwrap());
}

#[test]
fn what_finds_no_room_is_a_gap_at_its_place() {
    let (mut input, mut output) = sound(4);
    let mut buffer = [0.0; 8];
    assert_eq!(output.next(&mut buffer), None);
    input.push(3, [1.0, 2.0, 3.0].into_iter());
    input.push(2, [4.0, 5.0].into_iter());
    input.push(4, [6.0, 7.0, 8.0, 9.0].into_iter());
    assert_eq!(output.next(&mut buffer[..2]), Some(Piece::Sound(2)));
    input.push(2, [10.0, 11.0].into_iter());
    assert_eq!(output.next(&mut buffer), Some(Piece::Sound(1)));
    assert_eq!(buffer[0], 3.0);
    assert_eq!(output.next(&mut buffer), Some(Piece::Gap(6)));
    assert_eq!(output.next(&mut buffer), Some(Piece::Sound(2)));
    assert_eq!(buffer[..2], [10.0, 11.0]);
    assert_eq!(output.next(&mut buffer), None);
}

#[test]
fn nothing_is_lost_uncounted_between_two_threads() {
    const BLOCKS: u64 = 20_000;
    let (mut input, mut output) = sound(100);
    let writer = std::thread::spawn(move || {
        for block in 0..BLOCKS {
            input.push(7, std::iter::repeat_n(block as f32, 7));
        }
        // Room again: the last gap is told with what comes after it.
        while input.samples.vacant_len() < 100 {
            std::thread::yield_now();
        }
        input.push(1, std::iter::once(BLOCKS as f32));
    });
    let (mut position, mut buffer) = (0, [0.0; 13]);
    while position <= 7 * BLOCKS {
        match output.next(&mut buffer) {
            Some(Piece::Gap(lost)) => position += lost,
            Some(Piece::Sound(length)) => {
                for &sample in &buffer[..length] {
                    assert_eq!(sample, (position / 7) as f32, "the sample at {position}");
                    position += 1;
                }
            }
            Some(Piece::Reset { position }) => panic!("nobody asked for a reset at {position}"),
            None => std::thread::yield_now(),
        }
    }
    assert!(writer.join().is_ok());
}
