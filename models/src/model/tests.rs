#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::card::{Reference, StateSpec};
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
    let mut g = GraphBuilder::new("greedy");
    g.input("audio", &[1, 1, 2400]).output("logits", &[1, 2]);
    g.initializer_i64("shape", &[2], &[60_000, 60_000]).initializer_i64("flat", &[2], &[1, 2400]);
    g.initializer("w", &[2400, 2], &vec![0.0; 4800]);
    g.node("ConstantOfShape", &["shape"], &["huge"], &[]);
    g.node("ReduceMean", &["huge"], &["mean"], &[("keepdims", onnx::Attribute::Int(0))]);
    g.node("Reshape", &["audio", "flat"], &["row"], &[]);
    g.node("MatMul", &["row", "w"], &["product"], &[]).node("Add", &["product", "mean"], &["logits"], &[]);
    let mut model = g.finish();
    for (key, value) in [("sr", "24000"), ("seglen", "2400"), ("classnames", "[\"a\", \"b\"]")] {
        model.metadata_props.push(onnx::pb::StringStringEntryProto { key: key.into(), value: value.into() });
    }
    let error = Model::from_bytes(&encode(&model)).unwrap_err().to_string();
    assert!(error.contains("absurd shape"), "{error}");
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
