//! The real command on good input: what it prints and writes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{HIGH_HZ, LOW_HZ, RATE, model, sine, write_wav};
use tocco_trainer::manifest::{Manifest, Split};

/// Low for a second, silence for a second, high for a second: at another rate than the model's, in stereo.
fn phrase(folder: &Path) -> PathBuf {
    let rate = 44_100;
    let mut samples = sine(rate, LOW_HZ, 1.0);
    samples.extend(vec![0.0; 44_100]);
    samples.extend(sine(rate, HIGH_HZ, 1.0));
    let path = folder.join("phrase.wav");
    write_wav(&path, rate, &[&samples, &samples]);
    path
}

#[test]
fn recognize_tells_what_is_played_and_when() {
    let root = tempfile::tempdir().unwrap();
    let (model, sound) = (model(root.path()), phrase(root.path()));
    let answer = tocco!("recognize", "--model", model, "--format", "csv", sound).ok();
    let mut reader = csv::Reader::from_reader(answer.out.as_bytes());
    assert_eq!(reader.headers().unwrap(), vec!["file", "start_s", "end_s", "class", "confidence"]);
    let rows: Vec<(PathBuf, f64, f64, String, f64)> = reader.deserialize().map(Result::unwrap).collect();
    let classes: Vec<&str> = rows.iter().map(|r| r.3.as_str()).collect();
    assert_eq!(classes, ["low", "high"], "{}", answer.out);
    // The gate holds for 0.2 s, smoothing and windows take some 0.1 s.
    for ((_, start, end, _, confidence), (from, to)) in rows.iter().zip([(0.0, 1.0), (2.0, 3.0)]) {
        assert!((start - from).abs() < 0.1 && (end - to).abs() < 0.35, "{}", answer.out);
        assert!(*end <= 3.0 && *confidence > 0.5 && *confidence <= 1.0, "{}", answer.out);
    }
    assert_eq!(rows[0].0, sound);

    let json = tocco!("recognize", "--model", model, "--format", "json", "--with-none", sound).ok().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["model"], "high or low");
    assert!((json[0]["duration_s"].as_f64().unwrap() - 3.0).abs() < 1e-9);
    let segments = json[0]["segments"].as_array().unwrap();
    assert!(segments.iter().any(|s| s["class"] == "none"));
    let ends = segments.windows(2).all(|w| w[0]["end_s"] == w[1]["start_s"]);
    assert!(ends, "with the class none, one segment starts where the other ends");

    let labels = tocco!("recognize", "--model", model, "--format", "labels", sound).ok().out;
    let first: Vec<&str> = labels.lines().next().unwrap().split('\t').collect();
    assert_eq!((first.len(), first[2]), (3, "low"));
    assert!(first[0].parse::<f64>().unwrap() < first[1].parse().unwrap());

    let regions = tocco!("recognize", "--model", model, "--format", "reaper", sound).ok().out;
    let names: Vec<&str> = regions.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(names, ["low", "high"], "{regions}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocco"));
    let notes = command.args(["recognize", "--format", "midi", "--model"]).args([&model, &sound]).output().unwrap();
    assert!(notes.stdout.starts_with(b"MThd"), "{notes:?}");
    let sentence = tocco!("recognize", "--model", model, "--format", "midi", sound, sound).refusal();
    assert!(sentence.contains("belong to one recording"), "{sentence}");
}

#[test]
fn recognize_sends_the_plugins_messages() {
    let root = tempfile::tempdir().unwrap();
    let (model, sound) = (model(root.path()), phrase(root.path()));
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let target = receiver.local_addr().unwrap().to_string();
    let listener = std::thread::spawn(move || {
        let mut packets = Vec::new();
        let mut buffer = [0; 2048];
        // The first wait is for the command to start.
        receiver.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        while let Ok(n) = receiver.recv(&mut buffer) {
            receiver.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            packets.push(buffer[..n].to_vec());
        }
        packets
    });
    tocco!("recognize", "--model", model, "--osc", target, "--no-pace", sound).ok();
    let packets = listener.join().unwrap();
    // `/class` is bare: address, `,i`, one number, 16 bytes in all; the class order of the card: high 0, low 1.
    let bare = |class: u8| [b"/class\0\0,i\0\0\0\0\0".as_slice(), &[class]].concat();
    let low = packets.iter().position(|p| *p == bare(1)).expect("low is told");
    let high = packets.iter().position(|p| *p == bare(0)).expect("high is told");
    assert!(low < high);
    assert!(!packets.contains(&bare(2)), "none is no /class");
    let count = packets.iter().filter(|p| p.starts_with(b"/class\0")).count();
    assert!((100..=250).contains(&count), "one a hop of 20 ms while something sounds: {count}");
    let events: Vec<_> = packets
        .iter()
        .filter_map(|p| match rosc::decoder::decode_udp(p).unwrap().1 {
            rosc::OscPacket::Message(m) if m.addr == "/tocco/phrase/event" => Some(m.args),
            _ => None,
        })
        .collect();
    let told: Vec<_> = events.iter().map(|a| a[0].clone().string().unwrap()).collect();
    assert_eq!(told, ["low", "none", "high"], "the file ends while high still holds");
    let seconds = events[2][2].clone().float().unwrap();
    assert!((seconds - 2.0).abs() < 0.1, "{seconds}");
    assert!(packets[0].starts_with(b"/tocco/phrase/classes\0"));
}

/// Ten pitches of two classes in a flat folder, in three takes.
fn notes(root: &Path) {
    for (class, hz) in [("high", HIGH_HZ), ("low", LOW_HZ)] {
        for pitch in ["c2", "d2", "e2", "f2", "g2", "a2", "b2", "c3", "d3", "e3"] {
            for take in 0..3_u8 {
                let hz = hz * (1.0 + 0.02 * f32::from(take));
                let name = format!("{class}/{class}_{pitch}_take{take}.wav");
                write_wav(&root.join(name), RATE, &[&sine(RATE, hz, 0.3)]);
            }
        }
    }
}

#[test]
fn folds_cover_everything_once_and_keep_pitches_whole() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    notes(&data);
    let mut tested: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for fold in 0..5_u8 {
        let path = root.path().join(format!("{fold}.csv"));
        let fold = fold.to_string();
        let options = ["--group-by", "pitch", "--folds", "5", "--seed", "3", "--fold"];
        let mut arguments: Vec<std::ffi::OsString> = vec!["prepare".into(), (&data).into()];
        arguments.extend(options.map(Into::into));
        arguments.extend([fold.into(), "--out".into(), path.clone().into()]);
        common::tocco(&arguments).ok();
        let bytes = std::fs::read(&path).unwrap();
        common::tocco(&arguments).ok();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the same seed gives the same manifest");
        let manifest = Manifest::read(&path).unwrap();
        manifest.check_for_training().unwrap();
        assert_eq!(manifest.rows.len(), 60);
        assert_eq!(manifest.classes(), ["high", "low"]);
        let groups = |split| manifest.split(split).map(|r| r.group.clone()).collect::<BTreeSet<_>>();
        assert_eq!(groups(Split::Test).len(), 4, "two pitches of each class");
        assert!(groups(Split::Test).is_disjoint(&groups(Split::Train)));
        assert!(groups(Split::Val).is_disjoint(&groups(Split::Train)));
        for row in manifest.split(Split::Test) {
            *tested.entry(row.path.clone()).or_default() += 1;
            assert!((row.duration_s - 0.3).abs() < 1e-6 && row.sample_rate == RATE);
        }
    }
    assert!(tested.len() == 60 && tested.values().all(|n| *n == 1), "each recording is tested exactly once");
}

#[test]
fn folders_of_splits_are_taken_as_they_are() {
    let root = tempfile::tempdir().unwrap();
    for (split, set) in [("train", "home"), ("train", "hall"), ("val", "home"), ("Test", "stage")] {
        for class in ["high", "low"] {
            let path = root.path().join("data").join(split).join(set).join(class).join("a.wav");
            write_wav(&path, RATE, &[&sine(RATE, 440.0, 0.3)]);
        }
    }
    let path = root.path().join("m.csv");
    tocco!("prepare", root.path().join("data"), "--out", path).ok();
    let manifest = Manifest::read(&path).unwrap();
    let of = |split| manifest.split(split).map(|r| r.labels.join(";")).collect::<Vec<_>>();
    assert_eq!(of(Split::Train), ["high", "low", "high", "low"]);
    assert_eq!((of(Split::Val).len(), of(Split::Test).len()), (2, 2));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\ndata/Test/stage/high/a.wav,high,"), "paths are relative to the manifest: {text}");
    let sentence = tocco!("prepare", root.path().join("data"), "--out", path, "--group-by", "dir:4").refusal();
    assert!(sentence.contains("lies in the folders"), "{sentence}");
}

/// A table of one's own: its path pattern, its groups, its only label set.
#[test]
fn a_table_of_labels_says_what_recordings_are() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    notes(&data);
    let table = root.path().join("mine.toml");
    let text = r#"
        format = 1
        [[collection]]
        name = "mine"
        title = "My whistle"
        licence = "CC0-1.0"
        instrument = "whistle"
        paths = ['/data/(?<tag>high|low)/[a-z]+_(?<pitch>[a-g]\d)_take(?<stem>[12])\.wav$']
        [[entry]]
        collection = "mine"
        instruments = ["whistle"]
        tags = ["high", "low"]
        technique = "sustained"
        excitation = "blown"
        [label-set.all]
        about = "What plays"
        by = "instrument"
        collections = ["mine"]
    "#;
    std::fs::write(&table, text).unwrap();
    let path = root.path().join("m.csv");
    let answer = tocco!("prepare", data, "--labels", table, "--out", path).ok();
    assert!(answer.err.contains("take0.wav: the table of labels does not know it"), "{}", answer.err);
    let manifest = Manifest::read(&path).unwrap();
    assert_eq!((manifest.rows.len(), manifest.classes()), (40, vec!["whistle".to_owned()]));
    assert_eq!(manifest.sources()[0].licence, "CC0-1.0");
    let groups: BTreeSet<_> = manifest.rows.iter().map(|r| r.group.as_str()).collect();
    assert!(groups.len() == 10 && groups.contains("mine/whistle/c2"), "{groups:?}");

    std::fs::write(&table, text.replace("tags = [\"high\", \"low\"]", "tags = [\"high\"]")).unwrap();
    let sentence = tocco!("prepare", data, "--labels", table, "--out", path).refusal();
    assert!(sentence.contains("no entry") && sentence.contains("tag «low»"), "{sentence}");
}

#[test]
fn evaluate_counts_recordings_and_hops_and_pools_folds() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    let data = root.path().join("data");
    notes(&data);
    // One mistake on purpose.
    std::fs::rename(data.join("high/high_c2_take0.wav"), data.join("low/really_high.wav")).unwrap();
    let out = root.path().join("report");
    let answer = tocco!("evaluate", "--model", model, "--data", data, "--out", out, "--json").ok();
    let report: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(report["files"]["count"], 60);
    let recall = report["files"]["macro_recall"].as_f64().unwrap();
    assert!((recall - (1.0 + 30.0 / 31.0) / 2.0).abs() < 1e-9, "{recall}");
    assert!(report["frames"]["count"].as_u64().unwrap() > 500);
    let confusion = std::fs::read_to_string(out.join("confusion.csv")).unwrap();
    assert_eq!(confusion, "true \\ predicted,high,low,none\nhigh,29,0,0\nlow,1,30,0\nnone,0,0,0\n");
    assert!(std::fs::read_to_string(out.join("confusion.svg")).unwrap().starts_with("<svg"));

    let [a, b] = ["high", "low"].map(|class| {
        let path = root.path().join(format!("{class}.csv"));
        let part = root.path().join(format!("part-{class}"));
        std::fs::create_dir(&part).unwrap();
        std::fs::rename(data.join(class), part.join(class)).unwrap();
        tocco!("evaluate", "--model", model, "--data", part, "--predictions", path).ok();
        path
    });
    let pooled = tocco!("evaluate", "--json", "--from-predictions", a, b).ok();
    let pooled: serde_json::Value = serde_json::from_str(&pooled.out).unwrap();
    assert_eq!(pooled["files"], report["files"], "two folds pooled are the whole");
    assert_eq!(pooled["frames"], report["frames"]);
}

/// What the model learnt from says nothing about it.
#[test]
fn evaluate_keeps_to_one_split_of_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    let data = root.path().join("data");
    for (file, hz) in [
        ("train/home/low/wrong.wav", HIGH_HZ),
        ("train/home/unknown/a.wav", LOW_HZ),
        ("val/home/low/wrong.wav", HIGH_HZ),
        ("test/hall/high/a.wav", HIGH_HZ),
        ("test/hall/low/a.wav", LOW_HZ),
    ] {
        write_wav(&data.join(file), RATE, &[&sine(RATE, hz, 0.3)]);
    }
    std::fs::write(data.join("test/stray.wav"), "in no class folder").unwrap();
    std::fs::write(data.join("test/hall/low/letter.wav"), "Dear Anna,").unwrap();
    let report = |split: &[&str]| -> serde_json::Value {
        let paths =
            ["evaluate".into(), "--json".into(), "--model".into(), model.clone(), "--data".into(), data.clone()];
        let answer = common::tocco(paths.iter().map(|p| p.as_os_str()).chain(split.iter().map(OsStr::new))).ok();
        serde_json::from_str(&answer.out).unwrap()
    };
    let test = report(&[]);
    assert_eq!((&test["files"]["count"], &test["files"]["accuracy"]), (&2.into(), &1.0.into()), "{test}");
    assert!(test["source"].as_str().unwrap().ends_with("data, split test"), "{test}");
    assert_eq!(test["skipped"], 2, "the stray one and the letter");
    let val = report(&["--split", "val"]);
    assert_eq!((&val["files"]["count"], &val["files"]["accuracy"]), (&1.into(), &0.0.into()), "{val}");
}

#[test]
fn a_sound_too_soft_for_the_gate_is_judged_all_the_same() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    let soft: Vec<f32> = sine(RATE, LOW_HZ, 0.5).iter().map(|s| s * 0.002).collect();
    write_wav(&root.path().join("data/low/soft.wav"), RATE, &[&soft]);
    let answer = tocco!("evaluate", "--model", model, "--data", root.path().join("data"), "--json").ok();
    let report: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(report["files"]["count"], 1);
}

#[test]
fn inspect_shows_card_size_cost_and_latency() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    let text = tocco!("inspect", model).ok().out;
    for part in ["high, low, none", "24000 Hz", "stream: 2 frames a step", "Gemm 1", "µs a step", "latency"] {
        assert!(text.contains(part), "«{part}» is missing in {text}");
    }
    for rate in ["48000", "44100"] {
        let line = text.lines().find(|line| line.contains(&format!(" ms at {rate} Hz: "))).unwrap();
        let numbers: Vec<f64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
        // The sum, the rate, then the terms: rounded to a tenth each.
        assert!(numbers.len() == 8 && numbers[0] > 40.0, "{line}");
        assert!((numbers[2..].iter().sum::<f64>() - numbers[0]).abs() < 0.4, "{line}");
    }
    let card: serde_json::Value = serde_json::from_str(&tocco!("inspect", model, "--json").ok().out).unwrap();
    assert_eq!(card["classes"][2], "none");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let root = tempfile::tempdir().unwrap();
    let (model, sound) = (model(root.path()), phrase(root.path()));
    for arguments in [vec!["inspect".into(), model.clone().into_os_string()], {
        let mut many: Vec<std::ffi::OsString> = vec!["recognize".into(), "--model".into(), model.into()];
        many.extend(std::iter::repeat_n(sound.into_os_string(), 20));
        many
    }] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tocco"))
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{err}");
        assert_eq!(err, "");
    }
    // Remarks that nobody reads do not stop the work.
    notes(&root.path().join("data"));
    std::fs::write(root.path().join("data/high/letter.wav"), "Dear Anna,").unwrap();
    let manifest = root.path().join("m.csv");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tocco"))
        .arg("prepare")
        .arg(root.path().join("data"))
        .arg("--out")
        .arg(&manifest)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(Manifest::read(&manifest).unwrap().rows.len(), 60);
}
