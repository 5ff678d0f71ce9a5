//! The project keeps what the player set.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::json;
use tocco_tests::host::{Host, Input};
use tocco_tests::locate;
use tocco_tests::state::State;

fn host() -> Host {
    Host::load(&locate::clap().unwrap()).unwrap()
}

fn changed() -> State {
    State::empty()
        .with_parameter("gate_dbfs", json!({"f32": -41.5}))
        .with_parameter("smooth_kind", json!({"string": "leaky"}))
        .with_parameter("min_conf", json!({"f32": 0.75}))
        .with_parameter("channel", json!({"string": "right"}))
        .with_parameter("compat", json!({"bool": false}))
        .with_setting("model", json!({"library": "instruments"}))
        .with_setting("name", json!("Übungsraum 2"))
        .with_setting("osc", json!({"host": "127.0.0.1", "port": 9123}))
        .with_setting("mappings", json!({"bowed": {"mode": "note", "channel": 3, "number": 64}}))
}

#[test]
fn a_state_survives_saving_and_a_new_instance() {
    let mut first = host();
    first.restore(&changed()).unwrap();
    let saved = first.save().unwrap();
    drop(first);

    let mut second = host();
    assert_ne!(second.save().unwrap(), saved, "the test changes nothing");
    second.restore(&saved).unwrap();
    assert_eq!(second.save().unwrap(), saved);
    for (id, value) in [
        ("gate_dbfs", json!({"f32": -41.5})),
        ("smooth_kind", json!({"string": "leaky"})),
        ("min_conf", json!({"f32": 0.75})),
        ("channel", json!({"string": "right"})),
        ("compat", json!({"bool": false})),
    ] {
        assert_eq!(saved.parameter(id), &value, "{id}");
    }
    let settings = saved.settings();
    assert_eq!(settings["model"], json!({"library": "instruments"}));
    assert_eq!(settings["name"], "Übungsraum 2");
    // A project of version 1 is written as one of version 2.
    assert_eq!(settings["osc"]["targets"], json!([{"host": "127.0.0.1", "port": 9123, "on": true}]));
    let mapping = &settings["mappings"]["bowed"];
    assert_eq!([&mapping["mode"], &mapping["channel"], &mapping["number"]], [&json!("note"), &json!(3), &json!(64)]);
}

#[test]
fn what_automation_changed_is_saved_too() {
    let mut host = host();
    let gate = host.parameters().unwrap().into_iter().find(|p| p.name == "Gate threshold").expect("a gate threshold");
    let target = (gate.range.start() + gate.range.end()) / 2.0;
    assert!((gate.default - target).abs() > 1e-3, "the default is what the test sets");
    let mut processor = host.activate(48_000.0, 64).unwrap();
    let mut output = vec![vec![0.0; 64]; 2];
    processor.process(&[&[0.0; 64], &[0.0; 64]], &mut output, &[Input::Parameter(gate.id, target)]).unwrap();
    host.deactivate(processor);
    assert!((host.value(gate.id).unwrap() - target).abs() < 1e-6);

    let saved = host.save().unwrap();
    let mut second = self::host();
    second.restore(&saved).unwrap();
    assert!((second.value(gate.id).unwrap() - target).abs() < 1e-6);
}

#[test]
fn a_broken_state_is_refused_or_ignored_and_nothing_is_lost() {
    let mut host = host();
    host.restore(&changed()).unwrap();
    let before = host.save().unwrap();
    let whole = before.to_bytes();
    let broken: [&[u8]; 5] = [
        b"",
        b"garbage",
        &whole[..whole.len() / 2],
        &[0xff; 64],
        &[8, 0, 0, 0, 0, 0, 0, 0, b'{', b'}', 0, 0, 0, 0, 0, 0],
    ];
    for bytes in broken {
        // Whether the plugin says no is its business; it may not lose what it has.
        let _ = host.restore_bytes(bytes);
        assert_eq!(host.save().unwrap(), before, "after {} bytes", bytes.len());
    }
    // Values of a wrong kind keep what they stand for, and the rest of the state counts.
    let odd = State::empty()
        .with_parameter("gate_dbfs", json!({"string": "loud"}))
        .with_parameter("no_such_parameter", json!({"f32": 1.0}))
        .with_parameter("min_conf", json!({"f32": 0.25}));
    host.restore(&odd).unwrap();
    let after = host.save().unwrap();
    assert_eq!(after.parameter("gate_dbfs"), before.parameter("gate_dbfs"));
    assert_eq!(after.parameter("min_conf"), &json!({"f32": 0.25}));
}
