//! Two hundred instances in one process: made, run on several threads and dropped in any order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod host;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use host::resident_kb;
use host::{Host, phrase};
use nice_plug::prelude::*;
use rosc::OscPacket;
use tocco_plugin::mode::Mode;

const RATE: f32 = 48_000.0;
const BLOCK: usize = 512;
const CROWD: usize = 200;
/// What one more instance may take: states, buffers, queues, its part of the audio thread's pool; not the weights.
const MOST_KB: usize = 1500;

/// What an instance may leave allocated in bytes, on average. The allocator's caches of small pieces count as
/// allocated: they took some 150 bytes an instance from the second crowd to the third, and nothing after the seventh.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MOST_LEFT: usize = 512;

/// The numbers from 0, shuffled (Fisher and Yates), the same for the same seed.
fn shuffled(length: usize, mut seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    for last in (1..length).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (seed >> 33) as usize % (last + 1));
    }
    order
}

#[cfg(target_os = "linux")]
fn threads_of_tocco() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("tocco-")).count()
}

#[cfg(target_os = "linux")]
fn wait_for_threads() {
    let start = Instant::now();
    while threads_of_tocco() > 0 && start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(threads_of_tocco(), 0, "threads outlive the last instance");
}

/// Makes and runs the crowd; answers with the names by which its members went.
fn crowd(settings: &serde_json::Value, receiver: &UdpSocket, seed: u64) -> BTreeSet<String> {
    let sound = phrase(RATE);
    let mut hosts: Vec<Option<Host>> = (0..CROWD).map(|_| None).collect();
    for n in shuffled(CROWD, seed) {
        let run_in = [0.5, 0.5, 0.5, 1.0][n % 4];
        hosts[n] = Some(Host::new(settings, &[("run_in", run_in)], RATE, BLOCK as u32, ProcessMode::Realtime));
    }
    let (left, right) = hosts.split_at_mut(CROWD / 2);
    std::thread::scope(|threads| {
        for half in [left, right] {
            threads.spawn(|| {
                for host in half.iter_mut().flatten() {
                    let mut events = 0;
                    for samples in sound.clone().chunks_mut(BLOCK) {
                        host.process(samples);
                        events += host.block.sent.len();
                    }
                    // A worker that is fed so fast counts as rendering.
                    assert!(events > 20, "{events} events in {:?}", host.plugin.mode());
                }
            });
        }
    });
    for (n, host) in hosts.iter().enumerate().filter(|(n, _)| n % 4 != 3) {
        let host = host.as_ref().unwrap();
        assert_eq!(host.plugin.mode(), Mode::AudioThread, "instance {n}: {:?}", host.plugin.plan());
    }
    let on_audio_thread = hosts.iter().flatten().filter(|host| host.plugin.mode() == Mode::AudioThread).count();
    assert_eq!(on_audio_thread, CROWD * 3 / 4);
    let names = names(receiver);
    for n in shuffled(CROWD, seed + 1) {
        hosts[n] = None;
    }
    names
}

/// Every name that says its classes, until all did.
fn names(receiver: &UdpSocket) -> BTreeSet<String> {
    let mut bytes = [0; 2048];
    let mut names = BTreeSet::new();
    let start = Instant::now();
    while names.len() < CROWD && start.elapsed() < Duration::from_secs(20) {
        let Ok(length) = receiver.recv(&mut bytes) else { continue };
        if let Ok((_, OscPacket::Message(message))) = rosc::decoder::decode_udp(&bytes[..length])
            && let Some(name) = message.addr.strip_prefix("/tocco/").and_then(|rest| rest.strip_suffix("/classes"))
        {
            names.insert(name.to_owned());
        }
    }
    names
}

#[test]
fn two_hundred_come_run_and_go_in_any_order() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let port = receiver.local_addr().unwrap().port();
    let settings = serde_json::json!({"name": "Cello", "osc": {"host": "127.0.0.1", "port": port}});
    #[cfg(target_os = "linux")]
    let empty = resident_kb();
    let names = crowd(&settings, &receiver, 1);
    assert_eq!(names.len(), CROWD, "each has a name of its own: {names:?}");
    assert!(names.contains("Cello") && names.contains("Cello-200"), "{names:?}");
    #[cfg(target_os = "linux")]
    {
        wait_for_threads();
        let once = resident_kb();
        println!("{empty} kB resident before, {once} kB after the first crowd");
        assert!(once - empty <= CROWD * MOST_KB, "{} kB an instance", (once - empty) / CROWD);
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let once = host::allocated_bytes();
        crowd(&settings, &receiver, 3);
        wait_for_threads();
        let twice = host::allocated_bytes();
        crowd(&settings, &receiver, 5);
        wait_for_threads();
        let thrice = host::allocated_bytes();
        println!("allocated after each crowd: {once}, {twice}, {thrice} bytes");
        assert!(thrice <= twice + CROWD * MOST_LEFT, "{twice} bytes, then {thrice}: a leak");
    }
}
