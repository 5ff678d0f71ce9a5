//! Training and export through the real command, on sounds made here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const RATE: u32 = 24_000;

/// A note of half a second: its partials fall off by `slope` powers, so that 0.5 is bright and 4 almost a sine.
fn note(hz: f32, slope: f32, level: f32) -> Vec<f32> {
    (0..RATE / 2)
        .map(|i| {
            let t = i as f32 / RATE as f32;
            let envelope = (t * 100.0).min(1.0) * (-4.0 * t).exp();
            let partials = (1..=10).map(|k| (std::f32::consts::TAU * hz * k as f32 * t).sin() / (k as f32).powf(slope));
            level * envelope * partials.sum::<f32>()
        })
        .collect()
}

fn write_wav(path: &Path, samples: &[f32]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|s| writer.write_sample(*s).unwrap());
    writer.finalize().unwrap();
}

/// Bright and dull notes, with other pitches in each split.
fn data_set(folder: &Path) -> PathBuf {
    let mut manifest = String::from("path,labels,group,split,duration_s,sample_rate\n");
    for (class, slope) in [("bright", 0.5), ("dull", 4.0)] {
        for pitch in 0_u8..15 {
            let split = ["train", "train", "train", "val", "test"][usize::from(pitch % 5)];
            let file = format!("{class}{pitch}.wav");
            let hz = 110.0 * (f32::from(pitch) / 12.0).exp2();
            write_wav(&folder.join(&file), &note(hz, slope, 0.02 + 0.01 * f32::from(pitch % 4)));
            manifest += &format!("{file},{class},{class}-{pitch},{split},0.5,{RATE}\n");
        }
    }
    let path = folder.join("manifest.csv");
    std::fs::write(&path, manifest).unwrap();
    path
}

fn tocco(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tocco")).args(arguments).output().unwrap()
}

/// Options of a training that takes seconds.
const SMALL: &str = "--batch-size 4 --scene-s 1.2 --channels 16 --dilations 1,2,4 --lr 0.006";

fn small<'a>(manifest: &'a Path, run: &'a Path, rest: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["train", "--manifest", manifest.to_str().unwrap(), "--out", run.to_str().unwrap()];
    arguments.extend(SMALL.split(' ').chain(rest.split(' ')));
    arguments
}

fn train(manifest: &Path, run: &Path) {
    let output = tocco(&small(manifest, run, "--epochs 14 --seed 5"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn metrics(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(run.join("figures.json")).unwrap()).unwrap()
}

#[test]
fn learns_two_kinds_of_notes_and_gives_the_same_model_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let runs = ["one", "two"].map(|name| folder.path().join(name));
    runs.iter().for_each(|run| train(&manifest, run));

    let recall = metrics(&runs[0])["metrics"]["test/file_macro_recall_without_none"].as_f64().unwrap();
    assert!(recall > 0.95, "macro-recall at unheard pitches: {recall}");
    let of = |class: &str| metrics(&runs[0])["metrics"][format!("test/file_recall/{class}")].as_f64();
    let (bright, dull) = (of("bright").unwrap(), of("dull").unwrap());
    assert!((recall - f64::midpoint(bright, dull)).abs() < 1e-9 && of("none").is_none(), "{bright}, {dull}");

    let models = runs.map(|run| tocco_models::Model::load(&run.join("model.onnx")).unwrap());
    assert_eq!(models[0].card().classes, ["bright", "dull", "none"]);
    assert_eq!(models[0].card().reference, models[1].card().reference, "equal seeds give equal networks");
}

/// A window network that drops part of what it hears, one with heads of its own, and two plain methods.
#[test]
fn networks_over_windows_learn_and_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    for (net, rest) in [
        ("ast", "--epochs 6 --lr 0.003"),
        ("heads --trunk cbam-cnn", "--epochs 2"),
        ("mlp", "--epochs 8 --lr 0.003"),
        ("svm", "--epochs 1"),
    ] {
        let run = folder.path().join(net);
        let options = format!("--net {net} --batch-size 4 --windows-per-scene 4 --scene-s 1.2 --mels 32 {rest}");
        let mut arguments = vec!["train", "--manifest", manifest.to_str().unwrap(), "--out", run.to_str().unwrap()];
        arguments.extend(options.split(' '));
        let output = tocco(&arguments);
        assert!(output.status.success(), "{net}: {}", String::from_utf8_lossy(&output.stderr));
        let recall = metrics(&run)["metrics"]["test/file_macro_recall_without_none"].as_f64().unwrap();
        assert!(recall > 0.8, "{net}: macro-recall at unheard pitches: {recall}");
        let model = tocco_models::Model::load(&run.join("model.onnx")).unwrap();
        assert_eq!(model.card().network, tocco_models::NetworkKind::Window { frames: 32, frames_per_step: 2 });
    }
}

/// Weights and figures of the older training must not go out with the settings of the newer one.
#[test]
fn a_second_training_that_is_cut_short_leaves_nothing_to_export() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let (run, out) = (folder.path().join("run"), folder.path().join("model.onnx"));
    let first = tocco(&small(&manifest, &run, "--epochs 1 --seed 1"));
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let settings = std::fs::read(run.join("run.json")).unwrap();
    let export = ["export", "--run", run.to_str().unwrap(), "--out", out.to_str().unwrap()];
    assert!(tocco(&export).status.success());
    std::fs::remove_file(&out).unwrap();

    // So many epochs that not even the first validation is reached before it is ended.
    let mut second = Command::new(env!("CARGO_BIN_EXE_tocco"))
        .args(small(&manifest, &run, "--epochs 100000 --seed 2"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Between the older training's settings and its own there are none.
    while std::fs::read(run.join("run.json")).map_or(true, |newer| newer == settings) {
        assert_eq!(second.try_wait().unwrap(), None, "the second training ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    second.kill().unwrap();
    second.wait().unwrap();

    let output = tocco(&export);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("best.bpk") && words.contains("has the training ended?"), "{words}");
    assert!(!out.exists() && !run.join("model.onnx").exists() && !run.join("figures.json").exists());
}

#[test]
fn a_run_that_is_none_leaves_no_file_and_what_was_there_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model.onnx");
    std::fs::write(&out, b"older").unwrap();
    let nothing = folder.path().join("nothing");
    let output = tocco(&["export", "--run", nothing.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("nothing") && words.contains("no folder that «tocco train» made"), "{words}");
    assert_eq!(std::fs::read(&out).unwrap(), b"older");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn refuses_before_training_what_can_not_be_trained() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let run = folder.path().join("run");
    let ask = |extra: &[&str]| {
        let mut arguments = vec!["train", "--manifest", manifest.to_str().unwrap(), "--out", run.to_str().unwrap()];
        arguments.extend(extra);
        let output = tocco(&arguments);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(ask(&["--epochs", "0"]).contains("--epochs is 0"));
    assert!(ask(&["--dilations", "0"]).contains("--dilations"));
    assert!(ask(&["--trunk", "ast"]).contains("--net heads"));
    assert!(ask(&["--net", "ast", "--mels", "60"]).contains("patches of 16"));
    assert!(ask(&["--extra-windows", "512,2000"]).contains("2000 must lie between 16 and --window, which is 1024"));
    assert!(ask(&["--net", "ipt-flute", "--extra-windows", "512"]).contains("1 do not go with this network"));
    assert!(ask(&["--net", "mlp", "--optimizer", "muon"]).contains("this network has none"));
    assert!(ask(&["--net", "svm", "--own-heads"]).contains("no use for heads"));
    if !cfg!(feature = "cuda") {
        assert!(ask(&["--device", "cuda"]).contains("built without the device «cuda»"));
    }
    let text = std::fs::read_to_string(&manifest).unwrap().replace(",test,", ",val,");
    let rows: Vec<&str> = text.lines().filter(|l| !l.starts_with("dull") || !l.contains(",val,")).collect();
    std::fs::write(&manifest, rows.join("\n")).unwrap();
    let words = ask(&[]);
    assert!(words.contains("«dull»") && words.contains("«val»"), "{words}");
    assert!(!run.exists(), "nothing was begun");
}

#[test]
fn a_run_can_be_repeated_from_its_own_config() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let asked = "--epochs 1 --seed 3 --sample-rate 16000 --mels 20 --fmax 7000 --hop 160 --window 512 --fft-size 512 \
                 --extra-windows 320,160 --focal 1.5 --class-balance 0.9 --clip value:0.5 --schedule one-cycle \
                 --averaging 0.9 --loss both --polyphony 1..2 --gain-db -20..-3";
    let output = tocco(&small(&manifest, &first, asked));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = first.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(
        text.contains("[frontend]") && text.contains("sample_rate = 16000") && text.contains("stay = 0.5"),
        "{text}"
    );

    let words = ["train", "--config", config.to_str().unwrap(), "--out", second.to_str().unwrap()];
    let output = tocco(&words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let card = |run: &Path| tocco_models::Model::load(&run.join("model.onnx")).unwrap().card().clone();
    let (first, second) = (card(&first), card(&second));
    assert_eq!(first.reference, second.reference);
    assert_eq!((first.sample_rate, first.frontend.as_ref().unwrap().mels), (16_000, 20));
    assert_eq!(first.frontend, second.frontend);
    assert_eq!(first.frontend.unwrap().extra_windows, [320, 160]);
}

#[test]
fn what_augmentation_does_can_stand_in_the_config_and_stands_in_that_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let [first, second, third] = ["first", "second", "third"].map(|name| folder.path().join(name));
    let (asked, other) = (folder.path().join("asked.toml"), folder.path().join("other.toml"));
    let tables = "[augment]\ntone_db = 3\n[augment.pitch_shift]\nsemitones = [-1, 2]\n[augment.tilt]\nchance = 0.3\n";
    std::fs::write(&asked, tables).unwrap();
    std::fs::write(&other, "[detune]\nchance = 0.1\n").unwrap();
    let train = |config: &Path, run: &Path, rest: &str| -> toml::Table {
        let rest = format!("--epochs 1 --config {} {rest}", config.display());
        let output = tocco(&small(&manifest, run, rest.trim()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let own: toml::Table = std::fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap();
        own["augment"].as_table().unwrap().clone()
    };
    let used = train(&asked, &first, "");
    assert_eq!(used["pitch_shift"]["semitones"], toml::Value::from(vec![-1.0, 2.0]));
    assert_eq!((used["tilt"]["chance"].as_float(), used["tone_colour"]["db"].as_float()), (Some(0.3), Some(3.0)));
    assert_eq!(used["room"]["chance"].as_float(), Some(0.4), "what the tables leave out is as usual");
    assert_eq!(train(&first.join("config.toml"), &second, ""), used);
    let of = |run: &Path| tocco_models::Model::load(&run.join("model.onnx")).unwrap().card().reference.clone();
    assert_eq!(of(&first), of(&second));
    let used = train(&first.join("config.toml"), &third, &format!("--augment {} --room 0.2", other.display()));
    assert_eq!((used["tilt"]["chance"].as_float(), used["detune"]["chance"].as_float()), (Some(0.0), Some(0.1)));
    assert_eq!(used["room"]["chance"].as_float(), Some(0.2));
}

#[test]
fn a_config_that_can_not_be_meant_is_refused_by_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let path = folder.path().join("run.toml");
    let ask = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let run = folder.path().join("run");
        let output = tocco(&small(&manifest, &run, &format!("--config {}", path.to_str().unwrap())));
        assert_eq!(output.status.code(), Some(1));
        assert!(!run.exists(), "nothing was begun");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.contains("run.toml, line "), "{words}");
        words
    };
    let words = ask("[schedule]\nepochs = 1\nweigth_decay = 0.1\n");
    assert!(words.contains("line 3") && words.contains("(did you mean «weight_decay»?)"), "{words}");
    let words = ask("[loss]\nepochs = 1\n");
    assert!(words.contains("line 2") && words.contains("«epochs» belongs into [schedule]"), "{words}");
    assert!(ask("[scedule]\nepochs = 1\n").contains("no table [scedule] (did you mean «schedule»?)"));
    let words = ask("[schedule]\n\nepochs = \"many\"\n");
    assert!(words.contains("line 3") && words.contains("«epochs» can't be «many»"), "{words}");
    let words = ask("[net]\nnet = \"stream-tnc\"\n");
    assert!(words.contains("«net» can't be «stream-tnc»") && words.contains("stream-tcn"), "{words}");
    assert!(ask("[net]\nown_heads = 3\n").contains("«own_heads» must be true or false"));
    assert!(ask("[net\n").contains("line 1"));
    let words = ask("[augment]\nsemitones = 1\n[augment.tilt]\nchanse = 1\n");
    assert!(words.contains("line 4") && words.contains("no key «tilt.chanse» (did you mean «chance»?)"), "{words}");
    let words = ask("[augment.titl]\nchance = 1\n");
    assert!(words.contains("line 1") && words.contains("no effect «titl» (did you mean «tilt»?)"), "{words}");
    assert!(ask("[tilt]\nchance = 1\n").contains("belongs into [augment]: write [augment.tilt]"));
    assert!(ask("[augment]\ntilt = 0.5\n").contains("stands in a table, [augment.tilt]"));
}

#[test]
fn ends_early_once_the_validation_does_not_get_better() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let run = folder.path().join("run");
    let output = tocco(&small(&manifest, &run, "--epochs 60 --patience 1 --schedule constant --averaging 0"));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    assert!(words.contains("no better validation for 1 in a row: that is enough"), "{words}");
    assert!(!words.contains("epoch 60/60"), "{words}");
    // What has ended stays ended.
    let again = tocco(&["train", "--resume", run.to_str().unwrap()]);
    assert!(again.status.success() && !String::from_utf8_lossy(&again.stderr).contains("epoch "));
    let other = tocco(&["train", "--resume", run.to_str().unwrap(), "--lr", "0.1"]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("leave --lr away"));
}

#[test]
fn two_batches_in_a_step_teach_what_one_of_twice_the_size_does() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let weights = |name: &str, options: &str| {
        let run = folder.path().join(name);
        let small = "--scene-s 1.2 --channels 8 --dilations 1,2 --epochs 2 --seed 5 --no-report";
        let start = ["train", "--manifest", manifest.to_str().unwrap(), "--out", run.to_str().unwrap()];
        let output = tocco(&start.into_iter().chain(small.split(' ')).chain(options.split(' ')).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        tocco_trainer::train::Run::open(&run).unwrap().best(&burn::tensor::Device::flex()).unwrap().weights()
    };
    let whole = weights("whole", "--batch-size 4");
    let from_whole = |other: Vec<f32>| whole.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    let halves = from_whole(weights("halves", "--batch-size 2 --accumulate 2"));
    let half = from_whole(weights("half", "--batch-size 2"));
    assert!(halves < 0.5 * half, "{halves} with both halves, {half} with one");
}

#[test]
fn recordings_of_several_classes_teach_instruments_and_not_techniques() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let mut text = std::fs::read_to_string(&manifest).unwrap();
    for number in 0_u8..3 {
        let hz = 150.0 + 40.0 * f32::from(number);
        let both: Vec<f32> = note(hz, 0.5, 0.03).iter().zip(note(1.5 * hz, 4.0, 0.03)).map(|(a, b)| a + b).collect();
        write_wav(&folder.path().join(format!("both{number}.wav")), &both);
        text += &format!("both{number}.wav,bright;dull,both-{number},train,0.5,{RATE}\n");
    }
    std::fs::write(folder.path().join("damaged.wav"), b"RIFF").unwrap();
    text += &format!("damaged.wav,dull,damaged,train,0.5,{RATE}\n");
    // Somebody listened, and none of the classes was there: that teaches, too.
    write_wav(&folder.path().join("neither.wav"), &note(900.0, 1.0, 0.03));
    text = text.replace("both0.wav,bright;dull,both-0,train", "both0.wav,bright;dull,both-0,test");
    let mut rows: Vec<String> = text.lines().map(|row| format!("{row},")).collect();
    rows[0] += "known";
    rows.push(format!("neither.wav,,neither,train,0.5,{RATE},bright;dull"));
    std::fs::write(&manifest, rows.join("\n")).unwrap();
    for (task, heard, skipped) in [("instruments", "21 recordings", 0), ("technique", "18 recordings", 4)] {
        let run = folder.path().join(task);
        let output = tocco(&small(&manifest, &run, &format!("--epochs 1 --task {task}")));
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && words.contains(heard), "{words}");
        assert_eq!(words.matches("with --task technique recordings of one").count(), skipped, "{words}");
        assert!(words.contains("damaged.wav") && words.contains(&format!("{} of ", skipped + 1)), "{words}");
        // The page of a technique model is about the recordings of one class, as the training was.
        assert_eq!(words.contains("the page leaves 1 of 7 recordings out"), task == "technique", "{words}");
        assert!(run.join("report.html").exists());
    }
}

/// Notes that sound together, of which some have not been listened to for both classes, say enough to validate by.
#[test]
fn recordings_of_several_classes_validate_instruments() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let text = std::fs::read_to_string(&manifest).unwrap();
    let train = text.lines().filter(|row| !row.contains(",val,")).enumerate();
    let mut rows: Vec<String> = train.map(|(i, row)| format!("{row},{}", if i == 0 { "known" } else { "" })).collect();
    for (number, split) in (0_u8..).zip(["val", "val", "val", "test"]) {
        let hz = 150.0 + 40.0 * f32::from(number);
        let both: Vec<f32> = note(hz, 0.5, 0.03).iter().zip(note(1.5 * hz, 4.0, 0.03)).map(|(a, b)| a + b).collect();
        write_wav(&folder.path().join(format!("both{number}.wav")), &both);
        let (labels, known) = if number == 0 { ("bright", "bright") } else { ("bright;dull", "") };
        rows.push(format!("both{number}.wav,{labels},both-{number},{split},0.5,{RATE},{known}"));
    }
    std::fs::write(&manifest, rows.join("\n")).unwrap();
    let run = folder.path().join("run");
    let output = tocco(&small(&manifest, &run, "--epochs 1 --no-report --task instruments"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let of = |name: &str| metrics(&run)["metrics"][name].as_f64().unwrap();
    assert_eq!(of("val/files"), 3.0);
    assert_eq!(of("test/files"), 7.0, "six notes and one of two");
}

/// Where any number of instruments may sound, a recording called `none` holds none of them: it is no class.
#[test]
fn noise_teaches_instruments_that_nothing_plays() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data_set(folder.path());
    let text = std::fs::read_to_string(&manifest).unwrap();
    let clicks: Vec<f32> = (0..RATE / 2).map(|i| if i % 4000 < 40 { 0.3 } else { 0.0 }).collect();
    let mut rows = String::new();
    for split in ["train", "val", "test"] {
        write_wav(&folder.path().join(format!("clicks-{split}.wav")), &clicks);
        rows += &format!("clicks-{split}.wav,none,clicks-{split},{split},0.5,{RATE}\n");
    }
    std::fs::write(&manifest, text + &rows).unwrap();
    let run = folder.path().join("run");
    let output = tocco(&small(&manifest, &run, "--epochs 1 --no-report --task instruments"));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && words.contains("19 recordings") && words.contains("2 classes"), "{words}");
    assert!(!words.contains("skipped"), "{words}");
}
