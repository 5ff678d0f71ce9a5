//! What leaves the plugin by OSC, received on a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod host;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::{Host, Pace, phrase};
use nice_plug::prelude::*;
use rosc::{OscPacket, OscType};

const RATE: f32 = 44_100.0;

type Datagram = (Vec<u8>, String, Vec<OscType>);

struct Receiver(UdpSocket);

impl Receiver {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        Self(socket)
    }

    fn settings(&self, name: &str) -> serde_json::Value {
        let port = self.0.local_addr().unwrap().port();
        serde_json::json!({"name": name, "osc": {"host": "localhost", "port": port}})
    }

    /// All datagrams until none came for a while after `done`, bytes and message.
    fn all_until(&self, done: &AtomicBool) -> Vec<Datagram> {
        let mut bytes = [0; 2048];
        let mut all = Vec::new();
        loop {
            let was_done = done.load(Ordering::Relaxed);
            let Ok(length) = self.0.recv(&mut bytes) else {
                if was_done {
                    return all;
                }
                continue;
            };
            let (_, packet) = rosc::decoder::decode_udp(&bytes[..length]).unwrap();
            let OscPacket::Message(message) = packet else { panic!("a bundle") };
            all.push((bytes[..length].to_vec(), message.addr, message.args));
        }
    }

    fn all(&self) -> Vec<Datagram> {
        self.all_until(&AtomicBool::new(true))
    }
}

/// Plays the phrase and returns what was received, without the messages that go by the clock.
fn play(mode: ProcessMode, paced: bool) -> Vec<Datagram> {
    let receiver = Receiver::new();
    let mut host = Host::new(&receiver.settings("Solo Vc."), &[("probs_hz", 0.0)], RATE, 441, mode);
    let mut sound = phrase(RATE);
    sound.resize(sound.len() + RATE as usize / 2, 0.0);
    let mut pace = Pace::default();
    let done = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&done);
    let listener = std::thread::spawn(move || receiver.all_until(&until));
    for block in sound.chunks_mut(441) {
        host.process(block);
        if paced {
            pace.wait(0.01);
        }
    }
    done.store(true, Ordering::Relaxed);
    let all = listener.join().unwrap();
    all.into_iter().filter(|(_, address, _)| !address.ends_with("/status") && !address.ends_with("/classes")).collect()
}

#[test]
fn live_and_offline_send_the_same_bytes_in_the_same_order() {
    let offline = play(ProcessMode::Offline, false);
    let events = offline.iter().filter(|(_, address, _)| address == "/tocco/Solo_Vc_/event").count();
    let hops: Vec<_> = offline.iter().filter(|(_, address, _)| address == "/class").collect();
    assert!(events >= 2 && hops.len() > 10, "{events} events, {} hops", hops.len());
    for (bytes, _, args) in hops {
        let [OscType::Int(index)] = args[..] else { panic!("{args:?}") };
        assert_eq!(bytes[..12], *b"/class\0\0,i\0\0");
        assert_eq!(bytes[12..], index.to_be_bytes());
    }
    for (paced, how) in [(true, "in real time, on the worker"), (false, "at full speed, from a host that says nothing")]
    {
        let live = play(ProcessMode::Realtime, paced);
        let differs = live.iter().zip(&offline).position(|(live, offline)| live != offline);
        assert!(live == offline, "{how}: {} for {} datagrams, first at {differs:?}", live.len(), offline.len());
    }
}

#[test]
fn bypass_ends_what_holds_wherever_the_recognizer_runs() {
    for (run_in, mode) in [(0.5, ProcessMode::Realtime), (1.0, ProcessMode::Realtime), (0.0, ProcessMode::Offline)] {
        let receiver = Receiver::new();
        let mut host = Host::new(&receiver.settings("a"), &[("run_in", run_in)], RATE, 441, mode);
        let mut pace = Pace::default();
        let mut play = |host: &mut Host, sound: &mut [f32]| {
            for block in sound.chunks_mut(441) {
                host.process(block);
                pace.wait(0.01);
            }
        };
        // Into the tone.
        play(&mut host, &mut phrase(RATE)[..RATE as usize]);
        host.set("bypass", 1.0);
        play(&mut host, &mut phrase(RATE)[..RATE as usize / 5]);
        let all = receiver.all();
        let classes: Vec<&OscType> =
            all.iter().filter(|(_, address, _)| address.ends_with("/event")).map(|(.., args)| &args[0]).collect();
        let none = OscType::String("none".into());
        assert!(classes.iter().any(|&class| *class != none), "{classes:?}");
        assert_eq!(classes.last(), Some(&&none), "run_in {run_in}: {classes:?}");
    }
}

#[test]
fn the_list_of_classes_comes_before_any_event_and_status_tells_the_mode() {
    let receiver = Receiver::new();
    let mut host = Host::new(&receiver.settings("a"), &[], RATE, 4410, ProcessMode::Offline);
    for block in phrase(RATE).chunks_mut(4410) {
        host.process(block);
    }
    let all = receiver.all();
    let first = |what: &str| all.iter().position(|(_, address, _)| address == &format!("/tocco/a/{what}"));
    assert!(first("classes").unwrap() < first("event").unwrap());
    let (_, _, args) = &all[first("status").unwrap()];
    let [OscType::String(mode), OscType::Float(latency), OscType::Float(_), OscType::Int(0), OscType::String(why)] =
        &args[..]
    else {
        panic!("{args:?}")
    };
    assert_eq!((mode.as_str(), why.as_str()), ("offline", "the host renders"));
    assert!((10.0..300.0).contains(latency) || *latency == 0.0, "{latency} ms");
    let (_, _, args) = &all[first("probs").unwrap()];
    let (_, _, classes) = &all[first("classes").unwrap()];
    assert_eq!(args.len(), classes.len());
    let sum: f32 = args.iter().map(|arg| arg.clone().float().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-3, "{args:?}");
}

#[test]
fn two_instances_of_one_name_are_told_apart_and_a_dead_receiver_harms_nobody() {
    let receiver = Receiver::new();
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = serde_json::json!({"osc": {"host": "127.0.0.1", "port": dead}});
    let hosts: Vec<Host> = [receiver.settings("b"), receiver.settings("b"), silent]
        .iter()
        .map(|settings| Host::new(settings, &[], RATE, 441, ProcessMode::Realtime))
        .collect();
    let names = || {
        let mut names: Vec<String> = receiver
            .all()
            .into_iter()
            .map(|(_, address, _)| address.split('/').nth(2).unwrap_or("").to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    };
    receiver.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let start = Instant::now();
    while names() != ["b", "b-2"] {
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", names());
    }
    drop(hosts);
}
