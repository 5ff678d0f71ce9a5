#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn full() -> Settings {
    Settings {
        model: ModelChoice::Path("/somewhere/flute model.onnx".into()),
        slots: [(1, ModelChoice::default()), (8, ModelChoice::Path("b.onnx".into()))].into(),
        name: "Violin «due»".into(),
        osc: OscTarget { host: "::1".into(), port: 9000 },
        mappings: [
            ("bowed".to_owned(), Mapping { mode: MidiMode::Note, channel: 16, number: 127 }),
            ("a class of another model".to_owned(), Mapping { mode: MidiMode::Off, channel: 1, number: 0 }),
        ]
        .into(),
        editor: EditorSettings { width: 900.5, height: 700.0, zoom: 2.0 },
        ..Settings::default()
    }
}

#[test]
fn everything_survives_a_round_trip() {
    let json = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), full());
}

#[test]
fn each_broken_part_falls_back_alone() {
    let whole = serde_json::to_value(full()).unwrap();
    let broken = [
        serde_json::json!(null),
        serde_json::json!(-1),
        serde_json::json!("x\u{0}"),
        serde_json::json!([[]]),
        serde_json::json!({"port": 1e300, "host": 3, "width": -1.0, "path": {}}),
    ];
    for key in ["model", "slots", "name", "osc", "mappings", "editor"] {
        for wrong in &broken {
            let mut value = whole.clone();
            value[key] = wrong.clone();
            let mut read = serde_json::to_value(Settings::from_value(&value)).unwrap();
            read[key] = whole[key].clone();
            assert_eq!(read, whole, "{key} = {wrong} harmed another part");
        }
    }
}

#[test]
fn any_cut_or_changed_byte_of_a_state_is_survived() {
    let json = serde_json::to_string(&full()).unwrap().into_bytes();
    for at in 0..json.len() {
        // What does not parse is an error that the host's wrapper logs; what does, must be in range.
        let check = |bytes: &[u8]| {
            if let Ok(settings) = serde_json::from_slice::<Settings>(bytes) {
                assert!(settings.editor.is_valid() && settings.mappings.values().all(Mapping::is_valid));
                assert!(settings.slots.keys().all(|slot| (1..=SLOTS).contains(slot)));
                assert!(settings.osc.port != 0 && settings.name.chars().count() <= LONGEST_NAME);
            }
        };
        check(&json[..at]);
        for replacement in [b'0', b'9', b'"', b'}', b'-', 0xff] {
            let mut changed = json.clone();
            changed[at] = replacement;
            check(&changed);
        }
    }
}

#[test]
fn out_of_range_mappings_are_dropped_and_the_rest_kept() {
    let value = serde_json::json!({"mappings": {
        "a": {"mode": "gate", "channel": 0, "number": 1},
        "b": {"mode": "gate", "channel": 17, "number": 1},
        "c": {"mode": "gate", "channel": 1, "number": 128},
        "d": {"mode": "no such mode", "channel": 1, "number": 1},
        "e": {"channel": 2, "number": 3},
    }});
    let settings = Settings::from_value(&value);
    let kept = Mapping { mode: MidiMode::Probability, channel: 2, number: 3 };
    assert_eq!(settings.mappings, [("e".to_owned(), kept)].into());
}

#[test]
fn a_change_moves_the_revision_and_tells_project_from_panel() {
    let shared = SharedSettings::default();
    let before = shared.revision();
    shared.change(|settings| settings.name = "A".into());
    assert!(shared.revision() > before && !shared.snapshot().restored);
    PersistentField::set(&shared, full());
    assert!(shared.snapshot().restored);
    assert_eq!(shared.snapshot().settings, full());
}
