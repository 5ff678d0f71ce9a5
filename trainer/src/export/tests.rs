#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use super::*;
use crate::augment::{Config, Voices};
use crate::engine::{self, Provider};
use crate::ensemble::{Member, merged};
use crate::net::{AstShape, CbamShape, ConvShape, GruShape, MsCrnnShape, OnSummary, Shape, SummaryShape, TcnShape};
use crate::train::{Options, SAMPLE_RATE, Training};
use tocco_models::{FrontendConfig, Runner};

fn tcn(memory_s: f32) -> Shape {
    Shape::StreamTcn(TcnShape { channels: 16, kernel: 5, dilations: vec![1, 3, 8], memory_frames: memory_s * 100.0 })
}

fn settings(frames_per_step: usize, shape: Shape, task: Task) -> Settings {
    let extra_windows = match &shape {
        Shape::Convolutional(shape) => vec![300; shape.resolutions - 1],
        _ => Vec::new(),
    };
    // As many bands as the convolutional shapes are made for.
    let (mels, fft_size) = if let Shape::Convolutional(_) = shape { (128, 4096) } else { (20, 1024) };
    let frontend = FrontendConfig { mels, fft_size, extra_windows, ..FrontendConfig::default() };
    let size = u16::try_from(frontend.frame_size()).unwrap();
    Settings {
        name: "test".into(),
        classes: ["bowed", "plucked", "none"].map(String::from).to_vec(),
        mean: (0..size).map(|i| -8.0 + 0.01 * f32::from(i)).collect(),
        deviation: (0..size).map(|i| 2.0 + 0.01 * f32::from(i)).collect(),
        data: Vec::new(),
        options: Options {
            task,
            epochs: 1,
            batch_size: 1,
            lr: 1e-3,
            weight_decay: 0.0,
            seed: 0,
            scene_s: 1.0,
            label_smoothing: 0.0,
            stay: 0.5,
            overlap: 0.0,
            balance: 0.0,
            none_share: 0.5,
            frames_per_step,
            shape,
            own_heads: false,
            windows_per_scene: 1,
            frontend,
            sample_rate: SAMPLE_RATE,
            voices: Voices::default(),
            segments: None,
            augmentation: Config::default(),
            training: Training::default(),
        },
    }
}

fn figures() -> Figures {
    Figures { temperature: 1.3, metrics: BTreeMap::from([("test/file_macro_f1".into(), 0.9)]) }
}

/// Under `cargo xtask test`, which installs everything, nothing may be missing.
fn skipped(why: &str) {
    assert!(std::env::var_os("TOCCO_STRICT").is_none(), "nothing may be missing here: {why}");
    eprintln!("skipped: {why}");
}

/// Both engines against the trainer; how many steps were compared.
fn compared(settings: &Settings, seed: u64) -> usize {
    let net = shaken(Net::new(&settings.net(), seed, &Device::flex()));
    let bytes = model_bytes(&net, settings, &figures(), "test").unwrap();
    let checks = check_bytes(&bytes, &net, settings, &OrtCheck::usual()).unwrap();
    let steps = |engine: &str| {
        let check = checks.iter().find(|check| check.engine == engine)?;
        match &check.outcome {
            Outcome::Agrees(agreement) => {
                assert!(agreement.difference <= check.tolerance, "{check:?}");
                Some(agreement.steps)
            }
            Outcome::NotChecked(_) => None,
        }
    };
    let tract = steps("tract").expect("tract runs every network");
    assert!(steps("tract, pulsed").is_none_or(|steps| steps == tract));
    match steps("ONNX Runtime on cpu") {
        Some(steps) => assert_eq!(steps, tract),
        None => skipped("no library of ONNX Runtime"),
    }
    tract
}

/// The network with weights that are not those of its start: biases are not zero, means not zero, variances not one.
fn shaken(net: Net) -> Net {
    let mut weights = net.weights();
    for (i, weight) in weights.iter_mut().enumerate() {
        // Variances must stay above zero.
        let shake = [0.01, 0.0, 0.02][i % 3];
        *weight += if *weight < 0.0 { -shake } else { shake };
    }
    net.with_weights(&weights)
}

#[test]
fn every_engine_steps_to_the_trainers_own_answers() {
    for (frames_per_step, memory_s) in [(1, 0.0), (2, 0.5), (4, 0.2), (5, 0.0)] {
        assert_eq!(compared(&settings(frames_per_step, tcn(memory_s), Task::Technique), 11), 350);
    }
    for frames_per_step in [1, 3] {
        let shape = Shape::StreamGru(GruShape { channels: 12, hidden: 10, layers: 2 });
        assert_eq!(compared(&settings(frames_per_step, shape, Task::Technique), 12), 350);
    }
}

#[test]
fn every_engine_answers_to_windows_as_the_trainer_does() {
    for shape in [ConvShape::ipt_v1(), ConvShape::ipt_v2(), ConvShape::ipt_v3(), ConvShape::ipt_flute()] {
        assert_eq!(compared(&settings(1, Shape::Convolutional(shape), Task::Technique), 13), 16);
    }
}

/// Small shapes of every kind on 20 bands.
#[test]
fn every_engine_answers_to_the_windows_of_small_networks_as_the_trainer_does() {
    let summary = |on: OnSummary| Shape::Summary(SummaryShape { frames: 9, on });
    for shape in [
        Shape::CbamCnn(CbamShape { frames: 9, channels: vec![4, 6] }),
        Shape::MsCrnn(MsCrnnShape { frames: 9, channels: 3, hidden: 8 }),
        Shape::Ast(AstShape { frames: 9, patch: [5, 3], dim: 12, layers: 2, heads: 3, kept: 0.5 }),
        summary(OnSummary::Linear),
        summary(OnSummary::Mlp(vec![12, 8])),
        summary(OnSummary::Svm(14)),
    ] {
        assert_eq!(compared(&settings(1, shape, Task::Technique), 15), 16);
    }
}

/// The reference of an ensemble is what its members answer: both engines must answer so to the merged network.
#[test]
fn every_engine_answers_to_an_ensemble_as_its_members_do() {
    let gru = Shape::StreamGru(GruShape { channels: 6, hidden: 5, layers: 1 });
    let window = |frames| Shape::Summary(SummaryShape { frames, on: OnSummary::Linear });
    for (shapes, task) in [([tcn(0.3), gru], Task::Technique), ([window(7), window(4)], Task::Instruments)] {
        let folder = tempfile::tempdir().unwrap();
        let members: Vec<Member> = shapes
            .into_iter()
            .enumerate()
            .map(|(i, shape)| {
                let settings = settings(2, shape, task);
                let net = shaken(Net::new(&settings.net(), 21 + i as u64, &Device::flex()));
                let path = folder.path().join(format!("{i}.onnx"));
                std::fs::write(&path, model_bytes(&net, &settings, &figures(), "member").unwrap()).unwrap();
                Member::open(&path).unwrap()
            })
            .collect();
        let bytes = merged(&members, &[0.6, 0.4], "both").unwrap();
        let card = tocco_models::Model::from_bytes(&bytes).unwrap().card().clone();
        let Ok(library) = engine::library(None) else { return skipped("no library of ONNX Runtime") };
        let mut runner = engine::runner_from_bytes(&bytes, &card, &library, Provider::Cpu).unwrap();
        let (reference, mut logits) = (card.reference.as_ref().unwrap(), vec![0.0; 3]);
        assert_eq!(reference.output.len(), 3 * REFERENCE_STEPS);
        for (input, output) in reference.input.chunks_exact(card.step_input()).zip(reference.output.chunks_exact(3)) {
            runner.step(input, &mut logits).unwrap();
            assert!(logits.iter().zip(output).all(|(a, b)| (a - b).abs() < 1e-4), "{logits:?} {output:?}");
        }
    }
}

#[test]
fn heads_of_their_own_go_on_any_trunk() {
    for shape in [tcn(0.5), Shape::Convolutional(ConvShape::ipt_v1())] {
        let mut settings = settings(2, shape, Task::Instruments);
        settings.options.own_heads = true;
        compared(&settings, 14);
    }
}

#[test]
fn the_card_says_what_the_run_says() {
    let settings = settings(2, tcn(0.5), Task::Instruments);
    let net = Net::new(&settings.net(), 1, &Device::flex());
    let model = tocco_models::Model::from_bytes(&model_bytes(&net, &settings, &figures(), "mine").unwrap()).unwrap();
    let card = model.card();
    assert_eq!((card.name.as_str(), card.task, card.temperature), ("mine", Task::Instruments, 1.3));
    assert_eq!(card.classes, settings.classes);
    assert_eq!(card.thresholds, [0.5; 3]);
    assert_eq!(card.metrics, figures().metrics);
    // The taps stand once for each frame of a step, and the running mean brings its three powers.
    let Shape::StreamTcn(shape) = &settings.options.shape else { unreachable!("it was made as one") };
    let taps = shape.dilations.len() * shape.kernel * shape.channels;
    assert_eq!(model.parameters(), net.weights().len() + taps + 3);
}

/// An engine that is wrong by a little.
struct Off(Box<dyn Runner>, f32);

impl Runner for Off {
    fn step(&mut self, input: &[f32], logits: &mut [f32]) -> tocco_models::Result<()> {
        self.0.step(input, logits)?;
        logits[1] += self.1;
        Ok(())
    }

    fn reset(&mut self) -> tocco_models::Result<()> {
        self.0.reset()
    }
}

#[test]
fn a_wrong_engine_is_found_out() {
    let settings = settings(2, tcn(0.5), Task::Technique);
    let net = Net::new(&settings.net(), 2, &Device::flex());
    let model = tocco_models::Model::from_bytes(&model_bytes(&net, &settings, &figures(), "x").unwrap()).unwrap();
    let inputs = verify::inputs(&settings).unwrap();
    let expected: Vec<Vec<f32>> = inputs.iter().map(|f| whole_sequence(&net, &settings, f)).collect();
    let sizes = (model.card().step_input(), 3);
    for (error, passes) in [(0.0, true), (3e-4, false), (f32::NAN, false)] {
        let runner = Box::new(Off(model.runner().unwrap(), error));
        assert_eq!(agree("it", runner, sizes, &inputs, &expected, TOLERANCE).is_ok(), passes, "{error}");
    }
}

#[test]
fn a_provider_that_is_not_there_is_named() {
    let library = match engine::library(None) {
        Ok(library) => library,
        Err(e) => return skipped(&e.to_string()),
    };
    if cfg!(target_os = "macos") {
        return eprintln!("skipped: CoreML may be there");
    }
    let settings = settings(1, tcn(0.0), Task::Technique);
    let net = Net::new(&settings.net(), 3, &Device::flex());
    let bytes = model_bytes(&net, &settings, &figures(), "x").unwrap();
    let card = tocco_models::Model::from_bytes(&bytes).unwrap().card().clone();
    let refused = engine::runner_from_bytes(&bytes, &card, &library, Provider::Coreml);
    let words = format!("{:#}", refused.err().expect("there is no CoreML here"));
    assert!(words.contains("«coreml»"), "{words}");
}

/// tract runs this operator and gives other numbers than the standard asks for.
#[test]
fn a_network_with_an_operator_that_tract_computes_wrongly_is_refused() {
    use tocco_models::onnx::{GraphBuilder, encode, with_card};
    let library = match engine::library(None) {
        Ok(library) => library,
        Err(e) => return skipped(&e.to_string()),
    };
    let mut g = GraphBuilder::new("root of the sum of squares");
    g.input("audio", &[1, 1, 32]).output("logits", &[1, 2]);
    g.initializer_i64("channels", &[3], &[1, 2, 16]).initializer_i64("flat", &[2], &[1, 2]);
    g.node("Reshape", &["audio", "channels"], &["by_channel"], &[]);
    g.node("GlobalLpPool", &["by_channel"], &["pooled"], &[]);
    g.node("Reshape", &["pooled", "flat"], &["logits"], &[]);
    let graph = g.finish();
    let input: Vec<f32> = (0..32_u8).map(|i| f32::from(i) * 0.1 - 1.0).collect();
    let mut network = engine::Network::open(&encode(&graph), &library, Provider::Cpu, &[1, 1, 32], None).unwrap();
    let (_, right) = network.run(&input).unwrap();
    let root = |numbers: &[f32]| numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((right[0] - root(&input[..16])).abs() < 1e-4, "ONNX Runtime follows the standard");

    let mut settings = settings(1, tcn(0.0), Task::Technique);
    settings.classes.truncate(2);
    let stream = model_bytes(&Net::new(&settings.net(), 1, &Device::flex()), &settings, &figures(), "x").unwrap();
    let card = Card {
        frontend: None,
        network: tocco_models::NetworkKind::Audio { samples: 32, hop: 32 },
        reference: None,
        ..tocco_models::Model::from_bytes(&stream).unwrap().card().clone()
    };
    let bytes = encode(&with_card(graph, &card).unwrap());
    let asked = Asked { inputs: &[input], expected: &[right] };
    let words = format!("{:#}", check_engines(&bytes, &asked, &OrtCheck::usual()).unwrap_err());
    assert!(words.contains("tract computes the network differently"), "{words}");
}

#[test]
fn a_report_tells_every_engine_with_its_tolerance() {
    let check = |engine: &str, provider, outcome| {
        let (tolerance, arithmetic) = tolerance(provider);
        Check { engine: engine.into(), tolerance, arithmetic: arithmetic.into(), outcome }
    };
    let agrees = Outcome::Agrees(Agreement { difference: 3e-6, steps: 16 });
    let report = Report {
        path: "m.onnx".into(),
        checks: vec![
            check("tract", Provider::Cpu, agrees.clone()),
            check("ONNX Runtime on cuda", Provider::Cuda, agrees),
            check("tract, pulsed", Provider::Cpu, Outcome::NotChecked("it has no past".into())),
        ],
    };
    assert_eq!(
        report.text(),
        "m.onnx\n\
         tract: largest difference 3.0e-6 over 16 steps (1e-4 is allowed: 32-bit floats)\n\
         ONNX Runtime on cuda: largest difference 3.0e-6 over 16 steps (2e-2 is allowed: TF32)\n\
         tract, pulsed: not checked: it has no past"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["checks"][1]["outcome"]["agrees"]["steps"], 16);
    assert_eq!(json["checks"][2]["outcome"]["not-checked"], "it has no past");
}

#[test]
fn the_weights_bear_all_licences_that_ask_for_something() {
    let told = |licences: &[&str]| {
        let data: Vec<DataSource> =
            licences.iter().map(|l| DataSource { name: "x".into(), licence: (*l).into() }).collect();
        licence(&data)
    };
    assert_eq!(told(&["CC0-1.0", "CC0-1.0"]), "CC0-1.0");
    assert_eq!(told(&["CC BY 4.0", "CC0-1.0", "CC BY 4.0", ""]), "CC BY 4.0");
    let both = "CC BY-NC 4.0; CC BY-SA 3.0, Philharmonia Orchestra, with attribution of the sources above";
    assert_eq!(told(&["CC BY-SA 3.0, Philharmonia Orchestra", "CC0-1.0", "CC BY-NC 4.0"]), both);
}
