//! The published layouts of datasets, each in a small folder of exactly that shape, through the real command.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use common::{Answer, RATE, sine, write_wav};
use tocco_trainer::manifest::{Manifest, Row, Split};

/// A folder for a dataset, and where the manifest goes.
struct Place {
    root: tempfile::TempDir,
    /// Of the next sound: all sound different.
    hz: std::cell::Cell<f32>,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), hz: std::cell::Cell::new(200.0) }
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn sound(&self, file: &str) {
        self.hz.set(self.hz.get() * 1.07);
        write_wav(&self.data().join(file), RATE, &[&sine(RATE, self.hz.get(), 0.3)]);
    }

    fn sounds(&self, files: &[&str]) {
        for file in files {
            self.sound(file);
        }
    }

    fn text(&self, file: &str, text: &str) {
        let path = self.data().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn prepare(&self, dataset: &str, options: &[&str]) -> Answer {
        let words = ["prepare".into(), self.data().into(), "--dataset".into(), dataset.into(), "--out".into()];
        let manifest = self.root.path().join("m.csv").into_os_string();
        common::tocco(words.into_iter().chain([manifest]).chain(options.iter().map(OsString::from)))
    }

    /// The rows by file name, after a run that went well.
    fn rows(&self) -> BTreeMap<String, Row> {
        let manifest = Manifest::read(&self.root.path().join("m.csv")).unwrap();
        let name = |row: &Row| row.path.file_name().unwrap().to_str().unwrap().to_owned();
        manifest.rows.into_iter().map(|row| (name(&row), row)).collect()
    }
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "«{part}» is missing in: {text}");
    }
}

fn labels(row: &Row) -> String {
    row.labels.join(";")
}

/// Every importer names what it looked for in a folder of another kind.
#[test]
fn a_folder_of_another_layout_is_refused_with_the_file_that_was_looked_for() {
    for (dataset, looked_for) in [
        ("philharmonia", "flute_A4_1_forte_normal.mp3"),
        ("irmas", "IRMAS-TrainingData/gel/[gel]"),
        ("openmic", "openmic-2018-aggregated-labels.csv"),
        ("nsynth", "nsynth-train/examples.json"),
        ("fsdkaggle2018", "FSDKaggle2018.meta/train_post_competition.csv"),
        ("vocalset", "FULL/female1/"),
        ("musical-instruments", "Metadata_Train.csv"),
        ("medley-solos-db", "Medley-solos-DB_metadata.csv"),
        ("gfdatabase", "folder of a technique"),
        ("eg-ipt", "folder of a technique"),
    ] {
        let place = Place::new();
        place.sound("holiday.wav");
        let sentence = place.prepare(dataset, &[]).refusal();
        assert_says(&sentence, &["data", "there is no", looked_for]);
        assert!(!place.root.path().join("m.csv").exists());
    }
}

#[test]
fn philharmonia_names() {
    let place = Place::new();
    place.sounds(&[
        "flute/flute_A4_1_forte_normal.wav",
        "flute/flute_A4_025_piano_normal.wav",
        "flute/flute_Cs5_phrase_forte_legato.wav",
        "flute/flute_D5_1_forte_normal.wav",
        "cor anglais/english-horn_A4_1_forte_normal.wav",
        "cor anglais/english-horn_B4_1_forte_normal.wav",
        "cor anglais/english-horn_C4_1_forte_trill.wav",
        "flute/my note.wav",
    ]);
    let answer = place.prepare("philharmonia", &[]).ok();
    assert_says(&answer.err, &["my note.wav", "INSTRUMENT_PITCH_LENGTH"]);
    let rows = place.rows();
    assert_eq!(rows.len(), 7);
    assert_eq!(labels(&rows["english-horn_A4_1_forte_normal.wav"]), "english-horn");
    let group = |file: &str| rows[file].group.as_str();
    assert_eq!(group("flute_A4_1_forte_normal.wav"), "philharmonia/flute/a4");
    assert_eq!(group("flute_A4_025_piano_normal.wav"), "philharmonia/flute/a4");
    assert!(group("flute_Cs5_phrase_forte_legato.wav").contains("file:"), "a phrase stands alone");
    assert!(rows["flute_D5_1_forte_normal.wav"].licence.starts_with("CC BY-SA"));
    let few = place.prepare("philharmonia", &["--label-from", "technique"]).refusal();
    assert_says(&few, &["1 independent group", "must stand in 3 splits"]);
}

#[test]
fn irmas_training_and_testing() {
    let place = Place::new();
    place.sounds(&[
        "IRMAS-TrainingData/gel/[gel][dru][jaz_blu]0042__1.wav",
        "IRMAS-TrainingData/gel/[gel][dru][jaz_blu]0042__2.wav",
        "IRMAS-TrainingData/gel/008__[gel][nod][cla]0058__1.wav",
        "IRMAS-TrainingData/pia/[pia][cla]0189__2.wav",
        "IRMAS-TrainingData/pia/[pia][cla]0190__1.wav",
        "IRMAS-TrainingData/pia/[gel][cla]0191__1.wav",
        "IRMAS-TestingData-Part1/Part1/02 - And The Song Will End-8.wav",
        "IRMAS-TestingData-Part1/Part1/02 - And The Song Will End-9.wav",
        "IRMAS-TestingData-Part1/Part1/(02) lost-1.wav",
        "IRMAS-TestingData-Part1/Part1/odd-1.wav",
    ]);
    let testing = "IRMAS-TestingData-Part1/Part1";
    place.text(&format!("{testing}/02 - And The Song Will End-8.txt"), "gel\t\npia\t\n");
    place.text(&format!("{testing}/02 - And The Song Will End-9.txt"), "gel\n");
    place.text(&format!("{testing}/odd-1.txt"), "electric guitar\n");
    let answer = place.prepare("irmas", &[]).ok();
    assert_says(&answer.err, &["its name says «gel», its folder «pia»", "(02) lost-1.wav", "«electric guitar»"]);
    assert_says(&answer.err, &["there is no split «val»: 20 % of «train» is taken for validation"]);
    assert_says(&answer.out, &["7 recordings", "3 recordings were skipped"]);
    let rows = place.rows();
    assert_eq!(labels(&rows["02 - And The Song Will End-8.wav"]), "gel;pia");
    assert_eq!(rows["02 - And The Song Will End-8.wav"].split, Split::Test);
    assert_eq!(rows["02 - And The Song Will End-8.wav"].group, rows["02 - And The Song Will End-9.wav"].group);
    let cut = ["[gel][dru][jaz_blu]0042__1.wav", "[gel][dru][jaz_blu]0042__2.wav"].map(|f| &rows[f]);
    assert_eq!((labels(cut[0]).as_str(), &cut[0].group), ("gel", &cut[1].group));
    assert!(cut[0].split == cut[1].split && cut[0].split != Split::Test);
}

#[test]
fn openmic_knows_what_was_asked() {
    let place = Place::new();
    let clips = ["000046_3840", "000135_483840", "000139_119040", "000141_153600", "000144_30720"];
    for clip in clips {
        place.sound(&format!("audio/{}/{clip}.wav", &clip[..3]));
        let wav = place.data().join(format!("audio/{}/{clip}.wav", &clip[..3]));
        // The decoder goes by what is in the file.
        std::fs::rename(&wav, wav.with_extension("ogg")).unwrap();
    }
    let header = "sample_key,instrument,relevance,num_responses\n";
    let rows = "000046_3840,clarinet,0.17104999999999998,3\n000046_3840,flute,0.9,3\n000135_483840,clarinet,0.8,3\n\
                000135_483840,flute,0.5,3\n000139_119040,clarinet,0.6,3\n000139_119040,flute,much,3\n\
                000141_153600,flute,1.0,3\n000144_30720,flute,0.1\n000144_30720,clarinet,0.0,3\n\
                000999_1,flute,1.0,3\n000998_1,flute,1.0,3\n";
    place.text("openmic-2018-aggregated-labels.csv", &format!("{header}{rows}"));
    place.text("partitions/split01_train.csv", "000046_3840\n000135_483840\n000141_153600\n000999_1\n000139_119040\n");
    place.text("partitions/split01_test.csv", "000144_30720\n");
    let answer = place.prepare("openmic", &["--val-ratio", "0"]).ok();
    assert_says(
        &answer.err,
        &["line 7: the relevance is «much»", "line 9: it has 3 fields", "000999_1.ogg: the dataset lists it"],
    );
    assert_says(&answer.err, &["000998_1.ogg: it stands in neither partition"]);
    assert_says(&answer.err, &["the class «clarinet» occurs in «train» only, not in «test»"]);
    let rows = place.rows();
    let of = |clip: &str| {
        let row = &rows[&format!("{clip}.ogg")];
        (labels(row), row.known.join(";"), row.split)
    };
    assert_eq!(of(clips[0]), ("flute".into(), "clarinet;flute".into(), Split::Train));
    assert_eq!(of(clips[1]), ("clarinet;flute".into(), "clarinet;flute".into(), Split::Train));
    assert_eq!(of(clips[3]), ("flute".into(), "flute".into(), Split::Train), "nobody was asked about a clarinet");
    assert_eq!(of(clips[4]), (String::new(), "clarinet".into(), Split::Test), "what is not there teaches too");
    assert_eq!(rows[&format!("{}.ogg", clips[3])].sounds("clarinet"), None);
}

#[test]
fn nsynth_examples() {
    let place = Place::new();
    let key = |family: &str, i: u8, pitch: u8| format!("{family}_acoustic_00{i}-0{pitch}-075");
    let pitches = |part: &str| if part == "test" { [61, 73] } else { [60, 72] };
    for (part, instruments) in [("train", [1, 2]), ("valid", [3, 4]), ("test", [5, 6])] {
        let mut entries = Vec::new();
        // The published test has notes of instruments that validation has too.
        let shared = (part == "test").then_some(("bass", 4));
        for (family, i) in [("flute", instruments[0]), ("bass", instruments[1])].into_iter().chain(shared) {
            for pitch in pitches(part) {
                let key = key(family, i, pitch);
                place.sound(&format!("nsynth-{part}/audio/{key}.wav"));
                entries.push(format!(
                    "\"{key}\": {{\"note\": 201034, \"note_str\": \"{key}\", \"instrument_str\": \"{family}_acoustic_00{i}\", \
                     \"instrument_family\": 3, \"instrument_family_str\": \"{family}\", \"pitch\": {pitch}, \
                     \"velocity\": 75, \"sample_rate\": 16000, \"qualities\": [0, 1]}}"
                ));
            }
        }
        if part == "test" {
            entries.push("\"organ_9\": {\"pitch\": 60}".into());
            entries.push(entries[0].replace("-061-", "-062-"));
        }
        place.text(&format!("nsynth-{part}/examples.json"), &format!("{{{}}}", entries.join(", ")));
    }
    let answer = place.prepare("nsynth", &[]).ok();
    assert_says(
        &answer.err,
        &[
            "«organ_9» has no instrument_str",
            "flute_acoustic_005-062-075.wav: the dataset lists it",
            "1 instruments stand in NSynth's validation and in its test",
        ],
    );
    let rows = place.rows();
    let row = &rows[&format!("{}.wav", key("flute", 3, 60))];
    assert_eq!(
        (labels(row).as_str(), row.group.as_str(), row.split),
        ("flute", "nsynth/flute_acoustic_003", Split::Val)
    );
    assert_eq!(rows.len(), 14);
    let group = |i: u8, pitch: u8| rows[&format!("{}.wav", key("bass", i, pitch))].group.clone();
    assert_eq!(
        (group(4, 60).as_str(), group(4, 61).as_str()),
        ("nsynth/bass_acoustic_004/valid", "nsynth/bass_acoustic_004")
    );

    let ratio = place.prepare("nsynth", &["--test-ratio", "0.5"]).refusal();
    assert_says(&ratio, &["--test-ratio can't change them"]);
    let flat = place.prepare("nsynth", &["--group-by", "player"]).refusal();
    assert_says(&flat, &["--group-by player", "NSynth does not tell it", "it tells: instrument"]);
    let folds = place.prepare("nsynth", &["--folds", "2", "--fold", "0"]).refusal();
    assert_says(&folds, &["the dataset has splits", "--split dealt"]);
    place.prepare("nsynth", &["--split", "dealt", "--folds", "3", "--fold", "0"]).ok();
    let tested: Vec<_> = place.rows().into_values().filter(|r| r.split == Split::Test).map(|r| r.group).collect();
    assert!(tested.len() >= 4 && tested.iter().all(|group| !group.contains("valid")), "whole instruments: {tested:?}");
}

#[test]
fn fsdkaggle2018_tables() {
    let place = Place::new();
    let (train, test) = ("FSDKaggle2018.audio_train", "FSDKaggle2018.audio_test");
    for i in 0..4 {
        place.sounds(&[&format!("{train}/a{i}.wav"), &format!("{train}/b{i}.wav")]);
    }
    place.sounds(&[&format!("{test}/c.wav"), &format!("{test}/d.wav")]);
    let mut list = "fname,label,manually_verified,freesound_id,license\n".to_owned();
    for i in 0..4 {
        list += &format!("a{i}.wav,Cello,0,1{i},Creative Commons 0\nb{i}.wav,Flute,1,2{i},Attribution\n");
    }
    list += "gone.wav,Flute,1,9,Attribution\nbroken.wav,Flute\n";
    place.text("FSDKaggle2018.meta/train_post_competition.csv", &list);
    place.text(
        "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv",
        "fname,label,usage,freesound_id,license\nc.wav,Cello,Public,31,Attribution\nd.wav,Flute,Private,32,Attribution\n",
    );
    let answer = place.prepare("fsdkaggle2018", &[]).ok();
    assert_says(&answer.err, &["gone.wav: the dataset lists it, but it is not there", "line 11: it has 2 fields"]);
    assert_says(&answer.out, &["10 recordings", "2 recordings were skipped"]);
    let rows = place.rows();
    assert_eq!((labels(&rows["a0.wav"]).as_str(), rows["a0.wav"].licence.as_str()), ("Cello", "Creative Commons 0"));
    assert_eq!(rows["d.wav"].split, Split::Test);
    assert_eq!(rows.values().filter(|r| r.split == Split::Val).count(), 2, "one of each class");
}

#[test]
fn vocalset_by_singers() {
    let place = Place::new();
    for (folder, short) in [("female1", "f1"), ("female2", "f2"), ("male1", "m1"), ("male10", "m10")] {
        for technique in ["belt", "vibrato"] {
            place.sound(&format!("FULL/{folder}/arpeggios/{technique}/{short}_arpeggios_{technique}_c_a.wav"));
            place.sound(&format!("FULL/{folder}/scales/{technique}/{short}_scales_{technique}_c_e.wav"));
        }
    }
    place.sound("FULL/choir/all.wav");
    let answer = place.prepare("vocalset", &["--val-ratio", "0.25", "--test-ratio", "0.25"]).ok();
    assert_says(&answer.err, &["all.wav: neither its folders", "name a singer"]);
    let rows = place.rows();
    let row = &rows["m10_scales_vibrato_c_e.wav"];
    assert_eq!((labels(row).as_str(), row.group.as_str()), ("vibrato", "vocalset/m10"));
    for singer in ["f1", "f2", "m1", "m10"] {
        let splits: std::collections::BTreeSet<Split> =
            rows.values().filter(|r| r.group.ends_with(&format!("/{singer}"))).map(|r| r.split).collect();
        assert_eq!(splits.len(), 1, "{singer}");
    }
    place.text("train_singers_technique.txt", "female1\nmale1\nmale10\n");
    place.text("test_singers_technique.txt", "f2\n");
    place.prepare("vocalset", &["--split", "official"]).ok();
    let tested: Vec<_> = place.rows().into_values().filter(|r| r.split == Split::Test).map(|r| r.group).collect();
    assert_eq!(tested, ["vocalset/f2"; 4]);
    place.prepare("vocalset", &["--label-from", "player", "--group-by", "file", "--split", "dealt"]).ok();
    assert_eq!(labels(&place.rows()["m10_scales_vibrato_c_e.wav"]), "m10");
}

#[test]
fn vocalset_as_its_later_version_sorts_it() {
    let place = Place::new();
    for (folder, short) in [("female1", "f1"), ("female2", "f2"), ("male1", "m1")] {
        for technique in ["belt", "vibrato"] {
            let name = format!("{short}_scales_{technique}_c_e.wav");
            place.sound(&format!("data_by_singer/{folder}/scales/{technique}/{name}"));
            // The same recordings once more.
            place.sound(&format!("data_by_technique/{technique}/{name}"));
        }
    }
    place.prepare("vocalset", &["--val-ratio", "0.3", "--test-ratio", "0.3"]).ok();
    let rows = place.rows();
    assert_eq!(rows.len(), 6);
    let row = &rows["m1_scales_vibrato_c_e.wav"];
    assert_eq!((labels(row).as_str(), row.group.as_str()), ("vibrato", "vocalset/m1"));
    assert!(row.path.to_string_lossy().contains("data_by_singer"));
    // Given the folder above it, the same.
    let above = Place::new();
    std::fs::create_dir_all(above.data()).unwrap();
    std::fs::rename(place.data(), above.data().join("VocalSet1-2")).unwrap();
    above.prepare("vocalset", &["--val-ratio", "0.3", "--test-ratio", "0.3"]).ok();
    assert_eq!(above.rows().len(), 6);
}

#[test]
fn musical_instruments_sound_dataset() {
    let place = Place::new();
    for i in 0..3 {
        // The archive holds the folder inside a folder of its own name.
        place.sound(&format!("Train_submission/Train_submission/G{i}.wav"));
        place.sound(&format!("Train_submission/Train_submission/P{i}.wav"));
    }
    place.sounds(&["Test_submission/Test_submission/1.wav", "Test_submission/Test_submission/2.wav"]);
    let train: String = (0..3).map(|i| format!("G{i}.wav,Sound_Guitar\nP{i}.wav,Sound_Piano\n")).collect();
    place.text("Metadata_Train.csv", &format!("FileName,Class\n{train}V1.wav,Sound_Violin\nx.wav,\n"));
    place.text("Metadata_Test.csv", "FileName,Class\n1.wav,Sound_Guitar\n2.wav,Sound_Piano\n");
    let answer = place.prepare("musical-instruments", &["--val-ratio", "0.3"]).ok();
    assert_says(
        &answer.err,
        &["V1.wav: the dataset lists it", "line 9: «Class» is empty", "licence of this dataset is not known"],
    );
    let rows = place.rows();
    assert_eq!((rows.len(), labels(&rows["2.wav"]).as_str(), rows["2.wav"].split), (8, "Sound_Piano", Split::Test));
}

#[test]
fn medley_solos_db_by_songs() {
    let place = Place::new();
    let mut list = "subset,instrument,instrument_id,song_id,uuid4\n".to_owned();
    for (subset, song) in [("training", 1), ("validation", 2), ("test", 3)] {
        for (id, instrument) in [(0, "clarinet"), (3, "flute")] {
            for clip in 0..2 {
                let uuid = format!("{subset:.4}{id}{clip}0-567d-52c2-fef4-239f31c9d40e");
                list += &format!("{subset},{instrument},{id},{song}{id},{uuid}\n");
                place.sound(&format!("audio/Medley-solos-DB_{subset}-{id}_{uuid}.wav"));
            }
        }
    }
    list += "test,flute,3,30,not-there\nspare,flute,3,30,x\n";
    place.text("annotation/Medley-solos-DB_metadata.csv", &list);
    let answer = place.prepare("medley-solos-db", &[]).ok();
    assert_says(&answer.err, &["Medley-solos-DB_test-3_not-there.wav: the dataset lists it", "the subset is «spare»"]);
    let rows = place.rows();
    assert_eq!(rows.len(), 12);
    let row = &rows["Medley-solos-DB_validation-3_vali300-567d-52c2-fef4-239f31c9d40e.wav"];
    let told = (labels(row), row.group.clone(), row.split);
    assert_eq!(told, ("flute".into(), "medley-solos-db/val/23".into(), Split::Val));
}

#[test]
fn playing_techniques_over_microphones_and_sessions() {
    let place = Place::new();
    for take in 1..=4 {
        for microphone in ["DI", "SM57"] {
            for technique in ["bend", "slide"] {
                place
                    .sound(&format!("pickups/HB-neck/{microphone}/{technique}/{technique}_E2_{microphone}_{take}.wav"));
            }
        }
    }
    place.sound("loose.wav");
    let answer = place.prepare("eg-ipt", &[]).ok();
    assert_says(&answer.err, &["loose.wav: it lies in no folder of a technique"]);
    let rows = place.rows();
    assert_eq!(labels(&rows["bend_E2_DI_1.wav"]), "bend");
    assert_eq!(rows["bend_E2_DI_1.wav"].group, "eg-ipt/bend/bend_E2_1");
    assert_eq!(rows["bend_E2_DI_1.wav"].group, rows["bend_E2_SM57_1.wav"].group, "one take, heard twice");
    place.prepare("eg-ipt", &["--group-by", "microphone", "--val-ratio", "0", "--test-ratio", "0.5"]).ok();
    assert_eq!(place.rows()["bend_E2_DI_1.wav"].group, "eg-ipt/pickups/HB-neck/DI");

    let place = Place::new();
    for session in ["session1", "session2", "session3"] {
        place.sounds(&[&format!("{session}/aeolian/mic1/a4.wav"), &format!("{session}/aeolian/mic2/a4.wav")]);
        place.sounds(&[&format!("{session}/key-click/mic1/a4.wav"), &format!("{session}/key-click/mic2/a4.wav")]);
    }
    place.prepare("gfdatabase", &["--group-by", "session"]).ok();
    let manifest = Manifest::read(&place.root.path().join("m.csv")).unwrap();
    assert_eq!(manifest.classes(), ["aeolian", "key-click"], "a microphone's folder is no class");
    for row in &manifest.rows {
        let session = row.path.strip_prefix(place.root.path().join("data")).unwrap().iter().next().unwrap();
        assert_eq!(Path::new(&row.group), Path::new("gfdatabase").join(session));
    }
}
