#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::card::{NetworkKind, Reference, StateSpec};
use crate::onnx::{GraphBuilder, encode, with_card};
use crate::test_models::{self, MELS, STEP};

fn load(card: &Card) -> Result<Arc<Model>> {
    Model::from_bytes(&encode(&with_card(test_models::graph(), card)?))
}

#[test]
fn the_state_goes_from_step_to_step_and_resets() {
    let model = load(&test_models::card()).unwrap();
    let mut runner = model.runner().unwrap();
    let frames = [[0.0; MELS / 2], [1.0; MELS / 2]].concat().repeat(STEP);
    let step = |runner: &mut Box<dyn Runner>| {
        let mut logits = [0.0; 3];
        runner.step(&frames, &mut logits).unwrap();
        logits
    };
    // Half of 1 (the newest frame) and half of the state: 0 at first, 1 from then on.
    let (first, second) = (step(&mut runner), step(&mut runner));
    assert!((first[0] - 0.5).abs() < 1e-6 && (second[0] - 1.0).abs() < 1e-6, "{first:?} {second:?}");
    runner.reset().unwrap();
    assert_eq!(step(&mut runner), first);
    assert_eq!(model.operators().get("Gemm"), Some(&1));
    assert_eq!(model.parameters(), MELS * 3 + 4);
}

#[test]
fn a_model_that_this_machine_would_run_wrongly_is_refused() {
    let output = vec![0.5, -0.5, -1.0, 1.0, -1.0, -1.0];
    let mut card = test_models::card();
    card.reference = Some(Reference { input: [[0.0; MELS / 2], [1.0; MELS / 2]].concat().repeat(2 * STEP), output });
    load(&card).unwrap();
    card.reference.as_mut().unwrap().output[4] += 0.01;
    let error = load(&card).unwrap_err().to_string();
    assert!(error.contains("computes the model wrongly"), "{error}");
    card.reference.as_mut().unwrap().output.pop();
    assert!(load(&card).is_err());
}

#[test]
fn a_card_that_does_not_fit_its_network_is_refused() {
    let mut card = test_models::card();
    card.classes.insert(0, "extra".into());
    let error = load(&card).unwrap_err().to_string();
    assert!(error.contains("the card has 4 classes"), "{error}");
    let mut card = test_models::card();
    card.network = NetworkKind::Stream {
        frames_per_step: STEP,
        states: vec![StateSpec { name: "future".into(), shape: vec![1, 1, MELS] }],
    };
    let error = load(&card).unwrap_err().to_string();
    assert!(error.contains("its inputs are"), "{error}");
}

/// Mean of the raw window against a constant: raw audio `[1, 1, 2400]` to two logits.
fn foreign_bytes(keys: &[(&str, &str)]) -> Vec<u8> {
    let mut g = GraphBuilder::new("foreign");
    g.input("audio", &[1, 1, 2400]).output("logits", &[1, 2]);
    g.initializer("w", &[2400, 2], &[[1.0_f32 / 2400.0, 0.0]; 2400].concat()).initializer_i64("flat", &[2], &[1, 2400]);
    g.node("Reshape", &["audio", "flat"], &["row"], &[]).node("MatMul", &["row", "w"], &["logits"], &[]);
    let mut model = g.finish();
    for (key, value) in keys {
        let entry = onnx::pb::StringStringEntryProto { key: (*key).into(), value: (*value).into() };
        model.metadata_props.push(entry);
    }
    encode(&model)
}

#[test]
fn a_foreign_model_loads_by_its_three_keys() {
    let keys = [("sr", "24000"), ("seglen", "2400"), ("classnames", "['flute pizz', \"ordinario\"]")];
    let model = Model::from_bytes(&foreign_bytes(&keys)).unwrap();
    assert_eq!(model.card().classes, ["flute pizz", "ordinario"]);
    assert_eq!(model.card().network, NetworkKind::Audio { samples: 2400, hop: 300 });
    let mut logits = [0.0; 2];
    model.runner().unwrap().step(&vec![0.5; 2400], &mut logits).unwrap();
    assert!((logits[0] - 0.5).abs() < 1e-5);
    let error = Model::from_bytes(&foreign_bytes(&keys[..2])).unwrap_err().to_string();
    assert!(error.contains("no card"), "{error}");
}

#[test]
fn a_foreign_model_with_a_reference_is_checked_by_it() {
    let keys = [("sr", "24000"), ("seglen", "2400"), ("classnames", "a,b")];
    let with =
        |reference: &str| Model::from_bytes(&foreign_bytes(&[&keys[..], &[("tocco.reference", reference)]].concat()));
    let mut runner = Model::from_bytes(&foreign_bytes(&keys)).unwrap().runner().unwrap();
    let mut logits = [0.0; 2];
    runner.step(&vec![0.25; 2400], &mut logits).unwrap();
    let input = serde_json::to_string(&vec![0.25; 2400]).unwrap();
    let right = format!("{{\"input\": {input}, \"output\": [{}, {}]}}", logits[0], logits[1]);
    assert!(with(&right).unwrap().card().reference.is_some());
    let wrong = format!("{{\"input\": {input}, \"output\": [{}, {}]}}", logits[0] + 0.1, logits[1]);
    assert!(matches!(with(&wrong), Err(Error::WrongReference { .. })));
    for unreadable in ["", "[1, 2]", "{\"input\": [1.0]}", "{\"input\": [0.5], \"output\": [1.0, 2.0]}"] {
        assert!(matches!(with(unreadable), Err(Error::BadCard(_))), "{unreadable}");
    }
}

#[test]
fn an_error_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.onnx");
    std::fs::write(&path, &test_models::bytes()[..100]).unwrap();
    assert!(Model::load(&path).unwrap_err().to_string().contains("broken.onnx"));
    let missing = folder.path().join("missing.onnx");
    assert!(Model::load(&missing).unwrap_err().to_string().contains("missing.onnx"));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_at_once() {
    let error = Model::load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.contains("/dev/zero") && error.contains("not a file"), "{error}");
}

#[test]
fn a_graph_that_would_fill_the_memory_is_refused_before_it_runs() {
    let greedy = |make: &dyn Fn(&mut GraphBuilder)| {
        let mut g = GraphBuilder::new("greedy");
        g.input("audio", &[1, 1, 2400]).output("logits", &[1, 2]);
        g.initializer("w", &[2400, 2], &vec![0.0; 4800]).initializer_i64("flat", &[2], &[1, 2400]);
        make(&mut g);
        g.node("ReduceMean", &["huge"], &["mean"], &[("keepdims", onnx::Attribute::Int(0))]);
        g.node("Reshape", &["audio", "flat"], &["row"], &[]);
        g.node("MatMul", &["row", "w"], &["product"], &[]).node("Add", &["product", "mean"], &["logits"], &[]);
        let mut model = g.finish();
        for (key, value) in [("sr", "24000"), ("seglen", "2400"), ("classnames", "[\"a\", \"b\"]")] {
            model.metadata_props.push(onnx::pb::StringStringEntryProto { key: key.into(), value: value.into() });
        }
        let error = Model::from_bytes(&encode(&model)).unwrap_err().to_string();
        assert!(error.contains("absurd shape"), "{error}");
    };
    greedy(&|g| {
        g.initializer_i64("shape", &[2], &[60_000, 60_000]).node("ConstantOfShape", &["shape"], &["huge"], &[]);
    });
    greedy(&|g| {
        g.initializer("one", &[1], &[1.0]).initializer_i64("pads", &[2], &[0, 1 << 40]);
        g.node("Pad", &["one", "pads"], &["huge"], &[]);
    });
    greedy(&|g| {
        g.initializer("one", &[1, 1], &[1.0]).initializer_i64("times", &[2], &[60_000, 60_000]);
        g.node("Tile", &["one", "times"], &["huge"], &[]);
    });
    greedy(&|g| {
        g.initializer("from", &[], &[0.0]).initializer("to", &[], &[1.5e9]).initializer("by", &[], &[1.0]);
        g.node("Range", &["from", "to", "by"], &["huge"], &[]);
    });
}

/// Refused when the file is opened, so that whoever plays a model keeps it.
#[test]
fn a_card_that_no_sound_could_go_through_is_refused_at_once() {
    let refused = |change: &dyn Fn(&mut Card), words: &str| {
        let mut card = test_models::card();
        change(&mut card);
        let proto = onnx::decode(&test_models::bytes()).unwrap();
        let error = onnx::with_card(proto, &card).and_then(|m| Model::from_bytes(&encode(&m)).map(|_| ())).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(&|card| card.network = NetworkKind::Audio { samples: 2400, hop: 300 }, "has no frontend");
    refused(&|card| card.frontend.as_mut().unwrap().mels = 1000, "between two bins");
    refused(&|card| card.classes[0].push('\0'), "control characters");
}

#[test]
fn a_network_that_answers_with_nan_is_refused_without_a_reference_too() {
    let mut g = GraphBuilder::new("nan");
    g.input("audio", &[1, 1, 2400]).output("logits", &[1, 2]);
    g.initializer_i64("flat", &[2], &[1, 2400]).initializer("w", &[2400, 2], &vec![0.0; 4800]);
    g.node("Reshape", &["audio", "flat"], &["row"], &[]).node("MatMul", &["row", "w"], &["zero"], &[]);
    g.node("Div", &["zero", "zero"], &["logits"], &[]);
    let mut model = g.finish();
    for (key, value) in [("sr", "24000"), ("seglen", "2400"), ("classnames", "[\"a\", \"b\"]")] {
        model.metadata_props.push(onnx::pb::StringStringEntryProto { key: key.into(), value: value.into() });
    }
    let error = Model::from_bytes(&encode(&model)).unwrap_err().to_string();
    assert!(error.contains("computes the model wrongly"), "{error}");
}

/// Two frames a step through a dense convolution over 5 frames in every second one; the next state is what lies
/// `late` frames before the end of what is known.
fn convolution_bytes(late: i64) -> Vec<u8> {
    let mut g = GraphBuilder::new("convolution");
    g.input("frames", &[1, STEP, MELS]).input("past", &[1, MELS, 4]);
    g.output("logits", &[1, 3]).output("past_next", &[1, MELS, 4]);
    let weights: Vec<f32> = (0..3 * MELS * 3).map(|i| ((i * 37 % 101) as f32 - 50.0) / 300.0).collect();
    g.initializer("kernel", &[3, MELS, 3], &weights).initializer("bias", &[3], &[0.1, -0.2, 0.3]);
    for (name, value) in [("start", 2 - late), ("end", 6 - late), ("time", 2), ("newest", 1), ("last", 2)] {
        g.initializer_i64(name, &[1], &[value]);
    }
    g.initializer_i64("flat", &[2], &[1, 3]);
    let turn = [("perm", onnx::Attribute::Ints(vec![0, 2, 1]))];
    g.node("Transpose", &["frames"], &["turned"], &turn);
    g.node("Concat", &["past", "turned"], &["known"], &[("axis", onnx::Attribute::Int(2))]);
    g.node("Slice", &["known", "start", "end", "time"], &["past_next"], &[]);
    let dilated = [("dilations", onnx::Attribute::Ints(vec![2])), ("pads", onnx::Attribute::Ints(vec![0, 0]))];
    g.node("Conv", &["known", "kernel", "bias"], &["convolved"], &dilated);
    g.node("Tanh", &["convolved"], &["bent"], &[]);
    g.node("Slice", &["bent", "newest", "last", "time"], &["now"], &[]);
    g.node("Reshape", &["now", "flat"], &["logits"], &[]);
    let mut card = test_models::card();
    card.network = NetworkKind::Stream {
        frames_per_step: STEP,
        states: vec![StateSpec { name: "past".into(), shape: vec![1, MELS, 4] }],
    };
    encode(&with_card(g.finish(), &card).unwrap())
}

/// Logits of some steps over noise.
fn answers(model: &Model, steps: usize) -> Vec<f32> {
    let mut runner = model.runner().unwrap();
    let mut seed = 3_u32;
    let mut frame = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let mut logits = vec![0.0; model.card().classes.len()];
    (0..steps)
        .flat_map(|_| {
            let frames: Vec<f32> = (0..STEP * MELS).map(|_| frame()).collect();
            runner.step(&frames, &mut logits).unwrap();
            logits.clone()
        })
        .collect()
}

#[test]
fn a_network_of_other_makers_with_a_convolution_over_time_is_pulsed() {
    let bytes = convolution_bytes(0);
    let model = Model::from_bytes(&bytes).unwrap();
    assert_eq!(model.loader(), Loader::Pulse, "{:?}", model.not_pulsed());
    let explicit = Model::from_bytes_by(&bytes, Loader::Explicit).unwrap();
    let (pulse, explicit) = (answers(&model, 50), answers(&explicit, 50));
    let worst = pulse.iter().zip(&explicit).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn a_state_that_is_not_the_newest_past_stays_explicit() {
    let model = Model::from_bytes(&convolution_bytes(1)).unwrap();
    assert_eq!(model.loader(), Loader::Explicit);
    assert!(model.not_pulsed().unwrap().contains("past of a convolution"));
    assert!(Model::from_bytes_by(&convolution_bytes(1), Loader::Pulse).is_err());
}
