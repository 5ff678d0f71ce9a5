//! `tocco evaluate` on several classes at a time and on continuous recordings, and `tocco compare`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::path::{Path, PathBuf};

use common::{HIGH_HZ, LOW_HZ, RATE, model, sine, write_wav};
use serde_json::Value;
use tocco_models::onnx::{Attribute, GraphBuilder, encode, with_card};
use tocco_models::{Card, NetworkKind, Task};

const MELS: usize = 16;
const HEADER: &str = "path,labels,group,split,duration_s,sample_rate,known\n";

/// One linear layer over a frame: the classes weigh the lower half of the bands and the upper one.
fn linear(folder: &Path, name: &str, task: Task, classes: [(&str, [f32; 2], f32); 2]) -> PathBuf {
    let mut g = GraphBuilder::new("halves");
    g.input("frames", &[1, 1, MELS]).output("logits", &[1, 2]);
    let weights: Vec<f32> =
        (0..MELS).flat_map(|band| classes.map(|(_, halves, _)| halves[usize::from(band >= MELS / 2)] / 8.0)).collect();
    g.initializer("w", &[MELS, 2], &weights).initializer("b", &[2], &classes.map(|(_, _, bias)| bias));
    g.initializer_i64("flat", &[2], &[1, 16]);
    g.node("Reshape", &["frames", "flat"], &["row"], &[]);
    g.node("Gemm", &["row", "w", "b"], &["logits"], &[("alpha", Attribute::Float(1.0))]);
    let card = Card {
        name: name.into(),
        task,
        classes: classes.map(|(class, _, _)| class.to_owned()).to_vec(),
        network: NetworkKind::Stream { frames_per_step: 1, states: Vec::new() },
        ..common::card()
    };
    let path = folder.join(format!("{name}.onnx"));
    std::fs::write(&path, encode(&with_card(g.finish(), &card).unwrap())).unwrap();
    path
}

/// Any number at a time: each class where its half is not much weaker than the other. `bias` makes it bold or shy.
fn several(folder: &Path, name: &str, bias: f32) -> PathBuf {
    linear(folder, name, Task::Instruments, [("high", [-1.0, 1.0], bias), ("low", [1.0, -1.0], bias)])
}

/// Recordings of low, high and both, six of each in pairs of one group; the first row of each kind for `val`, and so on.
fn recordings(folder: &Path) -> PathBuf {
    let mut manifest = HEADER.to_owned();
    for (labels, low, high) in [("low", 1.0, 0.0), ("high", 0.0, 1.0), ("high;low", 1.0, 1.0)] {
        for take in 0..6_u8 {
            let name = format!("{}{take}.wav", labels.replace(';', "-"));
            let detune = 1.0 + 0.002 * f32::from(take);
            let (a, b) = (sine(RATE, LOW_HZ * detune, 0.4), sine(RATE, HIGH_HZ * detune, 0.4));
            let sum: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 0.5 * (low * a + high * b)).collect();
            write_wav(&folder.join(&name), RATE, &[&sum]);
            let split = ["test", "val"][usize::from(take / 2 == 0)];
            manifest += &format!("{name},{labels},{labels} {},{split},0.4,{RATE},\n", take / 2);
        }
    }
    let path = folder.join("m.csv");
    std::fs::write(&path, manifest).unwrap();
    path
}

fn json(answer: common::Answer) -> Value {
    serde_json::from_str(&answer.ok().out).unwrap()
}

fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["thresholds"].as_array().unwrap().iter().find(|t| t["name"] == name).unwrap()
}

#[test]
fn recordings_of_several_classes_are_judged_by_thresholds() {
    let root = tempfile::tempdir().unwrap();
    let (model, manifest) = (several(root.path(), "bold", 2.5), recordings(root.path()));
    let csv = root.path().join("p.csv");
    let report = json(tocco!("evaluate", "--model", model, "--manifest", manifest, "--predictions", csv, "--json"));
    let card = row(&report, "card");
    assert_eq!(card["figures"]["exact_match"], 1.0, "{card}");
    assert_eq!((&card["figures"]["count"], &card["figures"]["hamming_loss"]), (&12.into(), &0.0.into()));
    assert_eq!(report["ranking"]["mean_average_precision"], 1.0);
    assert_eq!(report["bootstrap"]["groups"], 6, "two takes of a note are one group");
    assert_eq!(report["files"], Value::Null, "there is no one right class");
    let names: Vec<_> = report["thresholds"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["card", "0.2", "0.3", "0.5"]);

    let pooled = json(tocco!("evaluate", "--json", "--from-predictions", csv));
    assert_eq!(pooled["thresholds"], report["thresholds"]);
    assert!(std::fs::read_to_string(&csv).unwrap().contains(",high;low,high;low,"));

    // What nobody checked counts for nothing: a wrong label is forgiven where the row does not vouch for it.
    let text = std::fs::read_to_string(&manifest).unwrap();
    let lies = |known: &str| {
        let wrong = format!("high-low5.wav,low,high;low 2,test,0.4,{RATE},");
        let lie =
            text.replace(&format!("high-low5.wav,high;low,high;low 2,test,0.4,{RATE},"), &format!("{wrong}{known}"));
        assert_ne!(lie, text);
        std::fs::write(&manifest, lie).unwrap();
        let report = json(tocco!("evaluate", "--model", model, "--manifest", manifest, "--json"));
        row(&report, "card")["figures"]["exact_match"].as_f64().unwrap()
    };
    assert!((lies("") - 11.0 / 12.0).abs() < 1e-9);
    assert!((lies("low") - 1.0).abs() < 1e-9);
}

/// Datasets whose test has several labels a recording: those can't judge a model of one class at a time.
#[test]
fn recordings_that_can_not_judge_are_left_out_and_counted() {
    let root = tempfile::tempdir().unwrap();
    let (model, manifest) = (common::model(root.path()), recordings(root.path()));
    let csv = root.path().join("not/yet/there.csv");
    let answer = tocco!("evaluate", "--model", model, "--manifest", manifest, "--predictions", csv, "--json").ok();
    assert!(answer.err.contains("4 of 12 recordings are left out"), "{}", answer.err);
    let report: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!((&report["skipped"], &report["files"]["count"]), (&4.into(), &8.into()));
    assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 9);
    let tuned = tocco!("evaluate", "--model", model, "--manifest", manifest, "--tune").ok();
    assert!(tuned.out.contains("offsets of the classes") && tuned.out.contains("recordings, tuned"), "{}", tuned.out);
    let refused = tocco!("evaluate", "--model", model, "--labels", manifest, "--predictions", "p.csv");
    assert!(refused.code != Some(0) && refused.err.contains("cannot be used with"), "{}", refused.err);
}

#[test]
fn a_shy_model_is_tuned_on_validation_and_its_card_keeps_that() {
    let root = tempfile::tempdir().unwrap();
    let (model, manifest) = (several(root.path(), "shy", -1.5), recordings(root.path()));
    let out = root.path().join("tuned.onnx");
    let answer =
        tocco!("evaluate", "--model", model, "--manifest", manifest, "--tune", "--write-card", out, "--json").ok();
    assert!(answer.err.contains("tuned on") && answer.err.contains("split val"), "{}", answer.err);
    let report: Value = serde_json::from_str(&answer.out).unwrap();
    let f1 = |t: &Value| t["figures"]["macro_f1"].as_f64().unwrap();
    let (before, after) = (f1(row(&report, "card")), f1(row(&report, "tuned")));
    assert!(before < 0.9 && (after - 1.0).abs() < 1e-9, "{before} {after}");
    assert_eq!(report["tuned"]["recordings"], 6);
    let again = json(tocco!("evaluate", "--model", out, "--manifest", manifest, "--json"));
    assert_eq!(row(&again, "card")["figures"], row(&report, "tuned")["figures"], "the written card does the same");
    let card = json(tocco!("inspect", out, "--json"));
    assert_eq!(card["thresholds"], report["tuned"]["thresholds"]);

    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::remove_file(&out).unwrap();
    for (manifest_text, reason) in [
        (text.replace(",val,", ",train,"), "no split «val»"),
        (text.replace("low 0,val", "low 1,val"), "the group «low 1» stands in «val» and in the split that is judged"),
    ] {
        std::fs::write(&manifest, manifest_text).unwrap();
        let words =
            tocco!("evaluate", "--model", model, "--manifest", manifest, "--tune", "--write-card", out).refusal();
        assert!(words.contains(reason), "{words}");
        assert!(!out.exists(), "nothing is written after a refusal");
    }
}

/// Where one class holds at a time, tuning finds a temperature and what each class is preferred by.
#[test]
fn a_model_that_prefers_a_class_is_tuned_to_be_fair() {
    let root = tempfile::tempdir().unwrap();
    let model =
        linear(root.path(), "partial", Task::Technique, [("high", [-1.0, 1.0], 8.0), ("low", [1.0, -1.0], 0.0)]);
    let manifest = recordings(root.path());
    let text = std::fs::read_to_string(&manifest).unwrap();
    let single: Vec<&str> = text.lines().filter(|row| !row.contains("high;low")).collect();
    std::fs::write(&manifest, single.join("\n")).unwrap();
    let out = root.path().join("tuned.onnx");
    let report = |model: &Path| json(tocco!("evaluate", "--model", model, "--manifest", manifest, "--json"));
    let f1 = |report: &Value| report["files"]["macro_f1"].as_f64().unwrap();
    let before = f1(&report(&model));
    tocco!("evaluate", "--model", model, "--manifest", manifest, "--tune", "--write-card", out).ok();
    let after = f1(&report(&out));
    assert!(before < 0.8 && (after - 1.0).abs() < 1e-9, "{before} {after}");
    let card = json(tocco!("inspect", out, "--json"));
    let offsets: Vec<f64> = card["offsets"].as_array().unwrap().iter().map(|o| o.as_f64().unwrap()).collect();
    assert!(offsets[0] < offsets[1], "{offsets:?}");
}

/// Low for a second, silence, high for a second; a label track beside.
fn phrase(folder: &Path, track: &str) -> PathBuf {
    let mut samples = vec![0.0; RATE as usize / 2];
    samples.extend(sine(RATE, LOW_HZ, 1.0));
    samples.extend(vec![0.0; RATE as usize / 2]);
    samples.extend(sine(RATE, HIGH_HZ, 1.0));
    let path = folder.join("phrase.take1.wav");
    write_wav(&path, RATE, &[&samples]);
    std::fs::write(folder.join("phrase.take1.txt"), track).unwrap();
    path
}

#[test]
fn a_label_track_judges_when_decisions_come() {
    let root = tempfile::tempdir().unwrap();
    let (model, folder) = (model(root.path()), root.path().join("live"));
    let sound = phrase(&folder_made(&folder), "0.5\t1.5\tlow\n2.0\t3.0\thigh\n");
    let report = json(tocco!("evaluate", "--model", model, "--labels", folder, "--json"));
    let all = &report["continuous"]["all"];
    assert_eq!((&all["events"], &all["f1"], &all["never"]), (&2.into(), &1.0.into(), &0.into()), "{report}");
    let reaction = all["reaction_p90_s"].as_f64().unwrap();
    assert!(reaction > 0.01 && reaction < 0.15, "half a window and a hop at the least: {reaction}");
    assert!(all["frame_f1"].as_f64().unwrap() > 0.85);
    assert_eq!(report["continuous"]["flicker_per_s"], 0.0);

    // A player who comes in 80 ms late by the track: right with a wide tolerance alone.
    let track = root.path().join("late.tsv");
    std::fs::write(&track, "onset\toffset\tevent_label\n0.42\t1.5\tlow\n1.92\t3.0\thigh\n").unwrap();
    for (tolerance, f1) in [("50", 0.0), ("120", 1.0)] {
        let late = json(tocco!(
            "evaluate",
            "--model",
            model,
            "--labels",
            track,
            "--onset-tolerance-ms",
            tolerance,
            "--json",
            sound
        ));
        assert_eq!(late["continuous"]["all"]["f1"], f1, "{late}");
    }
    let text = tocco!("evaluate", "--model", model, "--labels", folder).ok().out;
    assert!(text.contains("flicker") && text.contains("9 of 10"), "{text}");

    let gone = tocco!("evaluate", "--model", model, "--labels", root.path().join("live"), root.path().join("b.wav"));
    let words = gone.refusal();
    assert!(words.contains("b.wav") && words.contains("b.txt is not there"), "{words}");
    std::fs::write(folder.join("phrase.take1.txt"), "0.5\t1.5\tslapped\n").unwrap();
    let words = tocco!("evaluate", "--model", model, "--labels", folder).refusal();
    assert!(words.contains("phrase.take1.txt") && words.contains("line 1") && words.contains("«slapped»"), "{words}");
}

/// Two takes that are followed alike leave nothing to chance; where one of them is missed, nearly everything.
#[test]
fn intervals_say_how_much_hangs_on_which_recordings_there_are() {
    let root = tempfile::tempdir().unwrap();
    let (model, folder) = (model(root.path()), folder_made(&root.path().join("live")));
    phrase(&folder, "0.5\t1.5\tlow\n2.0\t3.0\thigh\n");
    let figures = || json(tocco!("evaluate", "--model", model, "--labels", folder, "--json"))["continuous"].clone();
    assert_eq!(figures()["intervals"], serde_json::json!({}), "one recording: there is nothing to draw from");

    for ending in ["wav", "txt"] {
        let [from, to] = ["take1", "take2"].map(|take| folder.join(format!("phrase.{take}.{ending}")));
        std::fs::copy(from, to).unwrap();
    }
    let alike = figures()["intervals"]["event_f1"].clone();
    assert_eq!(alike, serde_json::json!({"value": 1.0, "low": 1.0, "high": 1.0}));

    std::fs::write(folder.join("phrase.take2.txt"), "0.5\t1.5\thigh\n2.0\t3.0\tlow\n").unwrap();
    let (found, again) = (figures(), figures());
    let interval = &found["intervals"]["event_f1"];
    assert_eq!(interval["value"], found["all"]["f1"]);
    assert_eq!((&interval["low"], &interval["high"]), (&0.0.into(), &1.0.into()), "{interval}");
    assert_eq!(found, again, "the draws are those of the seed");
    for name in ["macro_event_f1", "frame_f1", "flicker_per_s", "reaction_median_s"] {
        assert!(found["intervals"][name]["value"].is_number(), "{name}: {found}");
    }
    let text = tocco!("evaluate", "--model", model, "--labels", folder).ok().out;
    assert!(text.contains("event_f1") && text.contains("[0.0000, 1.0000]"), "{text}");
}

fn folder_made(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    folder.to_owned()
}

#[test]
fn false_triggers_are_counted_a_minute() {
    let root = tempfile::tempdir().unwrap();
    let (model, folder) = (model(root.path()), root.path().join("hall"));
    let quiet: Vec<f32> = sine(RATE, LOW_HZ, 4.0).iter().map(|s| s * 1e-4).collect();
    write_wav(&folder.join("quiet.wav"), RATE, &[&quiet]);
    let report = json(tocco!("evaluate", "--model", model, "--negatives", folder, "--json"));
    assert_eq!((&report["false_triggers"]["triggers"], &report["continuous"]), (&0.into(), &Value::Null), "{report}");
    let mut cough = vec![0.0; RATE as usize];
    cough.extend(sine(RATE, HIGH_HZ, 1.0));
    write_wav(&folder.join("sub/cough.wav"), RATE, &[&cough]);
    let report = json(tocco!("evaluate", "--model", model, "--negatives", folder, "--json"));
    let triggers = &report["false_triggers"];
    assert_eq!((&triggers["triggers"], &triggers["classes"][0][0]), (&1.into(), &"high".into()), "{report}");
    assert!((triggers["per_minute"].as_f64().unwrap() - 10.0).abs() < 0.01, "one in 6 s: {triggers}");
    let interval = &triggers["per_minute_interval"];
    assert_eq!((&interval["low"], &interval["high"]), (&0.0.into(), &30.0.into()), "none or two in 4 s: {triggers}");
    #[cfg(unix)]
    {
        let links = folder_made(&root.path().join("links"));
        std::os::unix::fs::symlink(folder.join("sub/cough.wav"), links.join("elsewhere.wav")).unwrap();
        let report = json(tocco!("evaluate", "--model", model, "--negatives", links, "--json"));
        assert_eq!(report["false_triggers"]["triggers"], 1, "a link is a recording too: {report}");
    }
    let nothing = tocco!("evaluate", "--model", model, "--negatives", root.path().join("gone")).refusal();
    assert!(nothing.contains("gone"), "{nothing}");
}

#[test]
fn models_stand_side_by_side() {
    let root = tempfile::tempdir().unwrap();
    let one_at_a_time = |name, turned: f32| {
        let halves = [("high", [-turned, turned], 0.0), ("low", [turned, -turned], 0.0)];
        linear(root.path(), name, Task::Technique, halves)
    };
    let (right, wrong, three) = (one_at_a_time("right", 1.0), one_at_a_time("wrong", -1.0), model(root.path()));
    let manifest = recordings(root.path());
    let words = tocco!("compare", right, wrong, "--manifest", manifest).refusal();
    assert!(words.contains("it has 2 labels") && words.contains("one class at a time"), "{words}");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let single: Vec<&str> = text.lines().filter(|l| !l.starts_with("high-low")).collect();
    std::fs::write(&manifest, single.join("\n")).unwrap();

    let comparison = json(tocco!("compare", right, wrong, "--manifest", manifest, "--format", "json"));
    let [a, b] = [&comparison["models"][0], &comparison["models"][1]];
    assert_eq!((&comparison["recordings"], &comparison["groups"]), (&8.into(), &4.into()));
    assert_eq!((&a["macro_f1"]["value"], &b["macro_f1"]["value"]), (&1.0.into(), &0.0.into()), "{comparison}");
    assert_eq!(a["macro_f1_difference"], Value::Null);
    assert_eq!(
        (&b["macro_f1_difference"]["value"], &b["macro_f1_difference"]["high"]),
        (&(-1.0).into(), &(-1.0).into())
    );
    assert!(a["cost"]["chain_us"].as_f64().unwrap() > a["cost"]["network_us"].as_f64().unwrap());
    assert!(a["latency_s"].as_f64().unwrap() > 0.02 && a["parameters"] == 34);

    // Where ONNX Runtime listens, the figures are the same.
    if tocco_trainer::engine::library(None).is_ok() {
        let there =
            json(tocco!("compare", right, wrong, "--manifest", manifest, "--format", "json", "--engine", "ort"));
        for model in 0..2 {
            assert_eq!(there["models"][model]["macro_f1"], comparison["models"][model]["macro_f1"]);
        }
    } else {
        common::skipped("no library of ONNX Runtime");
    }

    // A model that knows a third class may answer with it; both are told to share two.
    let answer = tocco!("compare", right, three, "--manifest", manifest, "--format", "csv").ok();
    assert!(answer.err.contains("different classes") && answer.err.contains("fewer ways to err"), "{}", answer.err);
    let mut reader = csv::Reader::from_reader(answer.out.as_bytes());
    assert_eq!(reader.records().count(), 2);
    let table = tocco!("compare", right, wrong, "--manifest", manifest, "--format", "markdown").ok().out;
    assert!(table.starts_with("|  | right | wrong |\n|---|---|---|\n"), "{table}");
    assert!(tocco!("compare", right, wrong, "--manifest", manifest).ok().out.contains("macro-F1 less the first's"));

    let other = linear(root.path(), "other", Task::Technique, [("high", [0.0; 2], 0.0), ("slapped", [0.0; 2], 0.0)]);
    let words = tocco!("compare", right, other, "--manifest", manifest).refusal();
    assert!(words.contains("fewer than two classes in common (high)"), "{words}");
}

/// A note that is right from the start counts from its onset; one that another note breaks into, from behind that.
#[test]
fn single_notes_are_timed_until_the_decision_that_holds() {
    let root = tempfile::tempdir().unwrap();
    let rest = vec![0.0; RATE as usize / 2];
    let note = |parts: &[(f32, f32)]| {
        let sounds = parts.iter().map(|(hz, seconds)| sine(RATE, *hz, *seconds));
        [rest.clone(), sounds.collect::<Vec<_>>().concat(), rest.clone()].concat()
    };
    let mut manifest = HEADER.to_owned();
    for (name, label, sound) in [
        ("steady.wav", "low", note(&[(LOW_HZ, 1.0)])),
        ("broken.wav", "high", note(&[(HIGH_HZ, 0.4), (LOW_HZ, 0.3), (HIGH_HZ, 0.3)])),
    ] {
        write_wav(&root.path().join(name), RATE, &[&sound]);
        manifest += &format!("{name},{label},{name},test,2,{RATE},\n");
    }
    let path = root.path().join("m.csv");
    std::fs::write(&path, &manifest).unwrap();
    let figures = |manifest: &Path| {
        let model = model(root.path());
        let report = json(tocco!("evaluate", "--notes", "--model", model, "--manifest", manifest, "--json"));
        report["classes"].as_array().unwrap().clone()
    };
    let [high, low] = &figures(&path)[..] else { panic!("two classes") };
    let seconds = |figures: &Value, key: &str| figures[key].as_f64().unwrap();
    assert_eq!((&low["class"], &low["never"]), (&"low".into(), &0.into()), "{low}");
    assert!((0.0..0.15).contains(&seconds(low, "onset_median_s")), "{low}");
    assert!((0.7..0.85).contains(&seconds(high, "onset_median_s")), "what was taken back does not count: {high}");
    assert_eq!(seconds(high, "release_median_s"), 0.0, "it was told long before the end: {high}");

    std::fs::write(&path, manifest.replace("steady.wav,low", "steady.wav,high")).unwrap();
    let wrong = &figures(&path)[0];
    assert_eq!(
        (&wrong["notes"], &wrong["never"], &wrong["onset_p90_s"]),
        (&2.into(), &1.into(), &Value::Null),
        "{wrong}"
    );
}

/// Half a second of high in two seconds of low: both are in the recording.
#[test]
fn a_class_is_in_a_recording_that_holds_it_somewhere() {
    let root = tempfile::tempdir().unwrap();
    let sound = [sine(RATE, LOW_HZ, 1.4), sine(RATE, HIGH_HZ, 0.6)].concat();
    write_wav(&root.path().join("both.wav"), RATE, &[&sound]);
    let path = root.path().join("m.csv");
    std::fs::write(&path, format!("{HEADER}both.wav,high;low,both,test,2,{RATE},\n")).unwrap();
    let model = several(root.path(), "bold", 0.0);
    let report = json(tocco!("evaluate", "--model", model, "--manifest", path, "--json"));
    assert_eq!(row(&report, "card")["figures"]["exact_match"], 1.0, "{report}");
}
