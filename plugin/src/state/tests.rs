#![allow(clippy::unwrap_used, clippy::expect_used)]

use nice_plug::params::persist::PersistentField;

use super::*;

fn full() -> Settings {
    Settings {
        model: ModelChoice::Path("/somewhere/flute model.onnx".into()),
        slots: [(1, ModelChoice::default()), (8, ModelChoice::Path("b.onnx".into()))].into(),
        name: "Violin «due»".into(),
        osc: OscSettings {
            targets: vec![OscTarget::new("::1", 9000), OscTarget { on: false, ..OscTarget::new("mixer.local", 1) }],
            messages: OscMessages { probs: false, ..OscMessages::default() },
            control: ControlPort { on: true, port: 7000, anyone: true },
        },
        mappings: [
            ("bowed".to_owned(), Mapping::new(MidiMode::Note, 16, 127)),
            ("a class of another model".to_owned(), Mapping { on: false, ..Mapping::new(MidiMode::Probability, 1, 0) }),
        ]
        .into(),
        editor: EditorSettings { width: 900.5, height: 700.0, zoom: 2.0, light: Light::Light },
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
                assert!(settings.osc.targets.iter().all(OscTarget::is_valid) && settings.osc.control.port != 0);
                assert!(settings.name.chars().count() <= LONGEST_NAME);
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
    let kept = Mapping::new(MidiMode::Probability, 2, 3);
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

#[test]
fn settings_of_version_1_are_read() {
    let value = serde_json::json!({
        "version": 1,
        "model": {"library": "instruments"},
        "osc": {"host": "10.0.0.7", "port": 9000},
        "mappings": {
            "bowed": {"mode": "off", "channel": 2, "number": 3},
            "plucked": {"mode": "note", "channel": 4, "number": 60},
        },
        "editor": {"width": 800.0, "height": 500.0, "zoom": 1.5},
    });
    let settings = Settings::from_value(&value);
    assert_eq!(settings.osc, OscSettings::to(OscTarget::new("10.0.0.7", 9000)));
    let silent = Mapping { on: false, ..Mapping::new(MidiMode::Probability, 2, 3) };
    assert_eq!(settings.mappings["bowed"], silent);
    assert_eq!(settings.mappings["plucked"], Mapping::new(MidiMode::Note, 4, 60));
    assert_eq!((settings.editor.zoom.to_bits(), settings.editor.light), (1.5_f32.to_bits(), Light::Dark));
}

#[test]
fn a_preset_travels_and_a_broken_one_is_named() {
    let folder = std::env::temp_dir().join(format!("tocco-preset-{}", std::process::id()));
    let path = Preset::place(&ModelChoice::Path(folder.join("flute.onnx"))).unwrap();
    assert_eq!(path.file_name().unwrap(), "flute.mappings.json");
    let preset = Preset { model: "flute".into(), mappings: full().mappings };
    preset.write(&path).unwrap();
    assert_eq!(Preset::read(&path).unwrap(), preset);
    for wrong in ["", "{}", "{\"tocco_preset\": 1, \"mappings\": {\"a\": {\"channel\": 99, \"number\": 1}}}"] {
        std::fs::write(&path, wrong).unwrap();
        let sentence = Preset::read(&path).unwrap_err();
        assert!(sentence.contains("flute.mappings.json"), "{sentence}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_undo_of_the_host_reaches_the_settings_and_leaves_the_window() {
    let shared = SharedSettings::default();
    shared.follow(0);
    assert_eq!(shared.tell(), None, "nothing has changed");
    shared.change(|settings| settings.name = "a".into());
    shared.change(|settings| settings.name = "b".into());
    assert_eq!((shared.tell(), shared.tell()), (Some(1), None), "a drag is one step");
    shared.follow(1);
    let editor = EditorSettings { zoom: 2.0, ..EditorSettings::default() };
    shared.remember_editor(editor);
    shared.follow(0);
    let settings = shared.snapshot().settings;
    assert_eq!((settings.name.as_str(), settings.editor), ("Tocco", editor));
    shared.follow(1);
    assert_eq!(shared.snapshot().settings.name, "b");
}
