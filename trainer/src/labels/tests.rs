#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at once")]
use std::collections::BTreeMap;

use super::*;

fn table() -> Table {
    Table::built_in().unwrap()
}

fn recording(path: &str) -> Recording {
    table().identify(path).unwrap().unwrap_or_else(|| panic!("{path}: unknown"))
}

#[test]
fn the_same_tag_means_different_things() {
    let banjo = recording("x/philharmonia/banjo/banjo_A4_very-long_forte_normal.mp3");
    let flute = recording("x/philharmonia/flute/flute_A4_1_forte_normal.mp3");
    assert_eq!(banjo.excitation.as_deref(), Some("plucked"));
    assert_eq!(flute.excitation.as_deref(), Some("blown"));
    assert_eq!(flute.technique.as_deref(), Some("sustained"));
    let brief = recording("x/philharmonia/flute/flute_A4_025_forte_normal.mp3");
    assert_eq!(brief.technique.as_deref(), Some("short"));
    let horn = recording("philharmonia/cor anglais/english-horn_A4_1_forte_normal.mp3");
    assert_eq!(horn.instrument, "cor-anglais");
    let unnamed = recording("philharmonia/bass clarinet/bass-clarinet_Cs2_phrase_mezzo-forte_.mp3");
    assert_eq!(unnamed.technique, None);
    assert!(unnamed.is_phrase);
}

#[test]
fn takes_of_one_pitch_are_one_group_and_phrases_stand_alone() {
    let group = |path: &str| recording(path).group;
    assert_eq!(
        group("double-bass/arco/arco_bb1_ff_down.ogg"),
        group("double-bass/pizz/pizz_bb1_pc.ogg"),
        "an unheard pitch must be unheard in every technique"
    );
    assert_eq!(
        group("philharmonia/flute/flute_As4_1_forte_normal.mp3"),
        group("philharmonia/flute/flute_As4_025_piano_major-trill.mp3")
    );
    assert_ne!(
        group("philharmonia/flute/flute_A4_phrase_forte_legato.mp3"),
        group("philharmonia/flute/flute_A4_phrase_piano_legato.mp3")
    );
    assert_eq!(
        group("other-rooms/archtop-guitar/plucked/gb2_vl2_rr1_1.ogg"),
        group("other-rooms/archtop-guitar-pickup/plucked/gb2_vl3_rr1_2.ogg"),
        "the pickup recorded the same takes"
    );
    assert_eq!(
        group("other-rooms/archtop-guitar/plucked/mute_strings1_rr1_1.ogg"),
        group("other-rooms/archtop-guitar-pickup/plucked/mute_strings1_rr1_2.ogg")
    );
    assert_eq!(group("double-bass/noises/pizz_noise_mute_d.ogg"), group("double-bass/noises/pizz_noise_mute_d4.ogg"));
    assert_ne!(
        group("philharmonia/percussion/whip/whip__025_forte_struck-singly.mp3"),
        group("philharmonia/percussion/whip/whip__05_forte_struck-singly.mp3")
    );
}

#[test]
fn label_sets_choose_and_name() {
    let table = table();
    let label = |set: &str, path: &str| {
        let recording = recording(path);
        table.label_set(set).unwrap().label(&recording).map(str::to_owned)
    };
    let noise = "double-bass/noises/arco_noise_creak_1.ogg";
    assert_eq!(label("double-bass", noise).as_deref(), Some("none"));
    assert_eq!(label("double-bass", "double-bass/arco/arco_a2_f_down.ogg").as_deref(), Some("bowed"));
    assert_eq!(label("instruments", noise), None);
    let gong = "philharmonia/percussion/Thai gong/Thai-gong__long_forte_undamped.mp3";
    assert_eq!(label("instruments", gong).as_deref(), Some("percussion"));
    assert_eq!(label("every-instrument", noise).as_deref(), Some("none"));
    assert_eq!(label("every-instrument", gong).as_deref(), Some("percussion"));
    assert_eq!(label("techniques", gong).as_deref(), Some("none"));
    assert_eq!(label("techniques", "made/speech/en-us_12.wav").as_deref(), Some("none"));
    let message = table.label_set("nonsense").unwrap_err().to_string();
    assert!(message.contains("nonsense") && message.contains("instruments"), "{message}");
}

#[test]
fn a_wrong_table_is_refused_with_its_place() {
    let collection =
        "format = 1\n[[collection]]\nname='c'\ntitle='t'\nlicence='l'\ninstrument='i'\npaths=['(?<tag>x)']\n";
    let entry = "[[entry]]\ncollection='c'\ninstruments=['i']\ntags=['x']\ntechnique='short'\n";
    assert!(Table::parse(&format!("{collection}{entry}")).is_ok());
    let refused = |text: String| format!("{:#}", Table::parse(&text).unwrap_err());
    assert!(refused(format!("{collection}{entry}{entry}")).contains("entry 2"));
    assert!(refused(collection.replace("'(?<tag>x)'", "'x'")).contains("tag"));
    assert!(
        refused(format!("{collection}[[entry]]\ncollection='d'\ninstruments=['i']\ntags=['x']")).contains("no such")
    );
    let set = "[label-set.s]\nabout='a'\nby='technique'\ncollections=['c']\nclasses={a=['long']}";
    assert!(refused(format!("{collection}{entry}{set}")).contains("long"));
    assert!(refused("format = 9".into()).contains("format 9"));
}

/// Every recording of the collections, where they are at hand, is what exactly one entry says.
#[test]
fn every_recording_is_matched_by_exactly_one_entry() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        println!("skipped: {} is not there", data.display());
        return;
    }
    let table = table();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for file in walkdir::WalkDir::new(&data).into_iter().map(Result::unwrap) {
        if !file.file_type().is_file() || !crate::audio::has_audio_extension(file.path()) {
            continue;
        }
        let path = file.path().to_str().unwrap();
        let recording = table.identify(path).unwrap().unwrap_or_else(|| panic!("{path}: unknown"));
        *counts.entry(recording.collection.clone()).or_default() += 1;
        for (name, set) in table.label_sets() {
            if let Some(label) = set.label(&recording) {
                *counts.entry(format!("{name}:{label}")).or_default() += 1;
            }
        }
    }
    println!("{counts:#?}");
    let of = |key: &str| counts.get(key).copied().unwrap_or(0);
    assert_eq!(of("double-bass") + of("philharmonia") + of("philharmonia-percussion") + of("other-rooms"), 5601);
    assert_eq!((of("double-bass:bowed"), of("double-bass:plucked"), of("double-bass:none")), (159, 129, 109));
    assert_eq!(counts.keys().filter(|k| k.starts_with("instruments:")).count(), 16);
    assert_eq!(counts.keys().filter(|k| k.starts_with("every-instrument:")).count(), 19);
    assert_eq!(counts.keys().filter(|k| k.starts_with("techniques:")).count(), 11);
}
