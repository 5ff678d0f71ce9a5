//! The shipped patches: Pure Data receives what the plugin sends; the Max patch is whole.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tocco_tests::demo::stream;
use tocco_tests::host::Host;
use tocco_tests::sounds::{LOW_AND_HIGH, render};
use tocco_tests::state::State;
use tocco_tests::{locate, synthetic};

/// The port of the shipped patches, the plugin's default.
const PORT: u16 = 5005;

/// Whether something listens at a UDP port of this machine.
fn is_taken(port: u16) -> bool {
    std::net::UdpSocket::bind(("0.0.0.0", port)).is_err()
}

#[test]
fn pure_data_receives_both_families_through_the_shipped_patch() {
    let Some(pd) = locate::needed(locate::tool("pd")) else { return };
    let patch = locate::repository().join("examples/pd/tocco.pd");
    assert!(!is_taken(PORT), "port {PORT} is taken: end what listens there");
    let mut command = Command::new(pd);
    command.args(["-nogui", "-stderr", "-noaudio", "-nomidi", "-open"]).arg(&patch).stderr(Stdio::piped());
    let mut pd = locate::Child::start(&mut command).unwrap();
    let start = Instant::now();
    while !is_taken(PORT) {
        assert!(start.elapsed() < Duration::from_secs(20), "the patch does not listen at port {PORT}");
        std::thread::sleep(Duration::from_millis(50));
    }

    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("high_low.onnx");
    std::fs::write(&model, synthetic::model().unwrap()).unwrap();
    let mut host = Host::load(&locate::clap().unwrap()).unwrap();
    host.restore(&State::empty().with_model(&model)).unwrap();
    let processor = host.activate(48_000.0, 512).unwrap();
    let sound = render(&LOW_AND_HIGH, 48_000.0);
    let (processor, _) =
        std::thread::scope(|scope| scope.spawn(|| stream(processor, &sound, 48_000.0)).join().unwrap()).unwrap();
    host.deactivate(processor);
    std::thread::sleep(Duration::from_millis(300));

    pd.0.kill().unwrap();
    let mut said = String::new();
    pd.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    for (index, class) in synthetic::CLASSES.iter().enumerate().take(2) {
        let lines = said.lines().filter(|line| *line == format!("class: {index}")).count();
        assert!(lines > 20, "{lines} lines «class: {index}» from:\n{said}");
        assert!(said.contains(&format!("event: {class} ")), "no event of {class} in:\n{said}");
    }
    assert!(said.contains("classes: high low none"), "{said}");
    assert!(!said.contains("error") && !said.contains("failed"), "{said}");
}

#[test]
fn the_max_patch_is_whole() {
    let path = locate::repository().join("examples/max/tocco.maxpat");
    let patch: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let boxes = patch["patcher"]["boxes"].as_array().unwrap();
    let id_of = |start: &str| {
        let found = boxes.iter().find(|b| b["box"]["text"].as_str().is_some_and(|text| text.starts_with(start)));
        found.unwrap_or_else(|| panic!("no object {start}"))["box"]["id"].as_str().unwrap()
    };
    let outlets = |id: &str| {
        let found = boxes.iter().find(|b| b["box"]["id"] == id).unwrap_or_else(|| panic!("no object with the id {id}"));
        (found["box"]["numinlets"].as_u64().unwrap(), found["box"]["numoutlets"].as_u64().unwrap())
    };
    let mut cords = Vec::new();
    for line in patch["patcher"]["lines"].as_array().unwrap() {
        let end = |key: &str| {
            let end = &line["patchline"][key];
            (end[0].as_str().unwrap(), end[1].as_u64().unwrap())
        };
        let (source, destination) = (end("source"), end("destination"));
        assert!(source.1 < outlets(source.0).1 && destination.1 < outlets(destination.0).0, "{line}");
        cords.push((source, destination));
    }
    let (receive, route) = (id_of(&format!("udpreceive {PORT}")), id_of("route /class "));
    assert!(cords.contains(&((receive, 0), (route, 0))));
    assert!(cords.iter().any(|(source, _)| *source == (route, 0)), "/class goes nowhere");
}
