#![allow(clippy::unwrap_used, clippy::expect_used)]

use tocco_models::onnx::{Attribute, GraphBuilder, encode, pb};

use super::*;

/// An encoder with an input of these dimensions; 0 stands for any length.
fn encoder_for(dims: &[usize]) -> pb::ModelProto {
    use pb::tensor_shape_proto::dimension::Value;
    let mut g = GraphBuilder::new("encoder");
    g.input("x", dims).output("y", dims);
    g.node("Tanh", &["x"], &["y"], &[]);
    let mut model = g.finish();
    let input = &mut model.graph.as_mut().unwrap().input[0];
    let Some(pb::type_proto::Value::TensorType(tensor)) = &mut input.r#type.as_mut().unwrap().value else { panic!() };
    for dim in &mut tensor.shape.as_mut().unwrap().dim {
        if dim.value == Some(Value::DimValue(0)) {
            dim.value = Some(Value::DimParam("any".into()));
        }
    }
    model
}

fn understood(dims: &[usize], wish: &Wish) -> (Hears, Vec<usize>) {
    let (hears, shape, _) = understand(&encoder_for(dims), 16_000, wish).unwrap();
    (hears, shape)
}

#[test]
fn audio_is_told_from_log_mel_by_the_shape() {
    let usual = Wish::default();
    assert_eq!(understood(&[0, 0], &usual), (Hears::Audio { samples: 16_000 }, vec![1, 16_000]));
    assert_eq!(understood(&[1, 1, 8000], &usual), (Hears::Audio { samples: 8000 }, vec![1, 1, 8000]));
    assert_eq!(understood(&[4000], &usual), (Hears::Audio { samples: 4000 }, vec![4000]));
    let half = Wish { window_s: Some(0.5), ..Wish::default() };
    assert_eq!(understood(&[0, 0], &half).0, Hears::Audio { samples: 8000 });

    let of = |dims: &[usize], wish: &Wish| match understood(dims, wish) {
        (Hears::LogMel { frames, frontend, bands_first, .. }, shape) => (frames, frontend.mels, bands_first, shape),
        other => panic!("{other:?}"),
    };
    assert_eq!(of(&[0, 96, 64], &usual), (96, 64, false, vec![1, 96, 64]));
    assert_eq!(of(&[1, 1, 128, 998], &usual), (998, 128, true, vec![1, 1, 128, 998]));
    assert_eq!(of(&[0, 0, 80], &usual), (100, 80, false, vec![1, 100, 80]), "a second of frames of 10 ms");
    assert_eq!(of(&[0, 80, 0], &usual), (100, 80, true, vec![1, 80, 100]));
    let wide = Wish { mels: Some(128), ..Wish::default() };
    assert_eq!(of(&[1, 64, 128], &wide), (64, 128, false, vec![1, 64, 128]));
    let frames = Wish { input: Some(InputKind::LogMel), mels: Some(40), ..Wish::default() };
    assert_eq!(of(&[30, 40], &frames), (30, 40, false, vec![30, 40]));
}

#[test]
fn an_input_that_fits_nothing_is_refused_with_its_shape() {
    let refused =
        |dims: &[usize], wish: &Wish| format!("{:#}", understand(&encoder_for(dims), 16_000, wish).unwrap_err());
    assert!(refused(&[2, 16_000], &Wish::default()).contains("[2, 16000]"));
    assert!(refused(&[1, 3, 64, 64], &Wish::default()).contains("[1, 3, 64, 64]"));
    assert!(refused(&[0, 0, 0], &Wish::default()).contains("--encoder-mels"));
    let wish = Wish { mels: Some(40), ..Wish::default() };
    assert!(refused(&[1, 96, 64], &wish).contains("--encoder-mels is 40"));
    let wish = Wish { window_s: Some(2.0), ..Wish::default() };
    assert!(refused(&[1, 16_000], &wish).contains("made for 16000"));
    let wish = Wish { fmax: Some(9000.0), ..Wish::default() };
    assert!(refused(&[1, 2000, 64, 1, 1], &wish).contains("fits no"));
    let mut two = encoder_for(&[1, 100]);
    let more = encoder_for(&[1]).graph.unwrap().input.remove(0);
    two.graph.as_mut().unwrap().input.push(pb::ValueInfoProto { name: "mask".into(), ..more });
    let words = understand(&two, 16_000, &Wish::default()).unwrap_err().to_string();
    assert!(words.contains("x, mask"), "{words}");
}

#[test]
fn operators_of_a_version_that_no_head_can_be_joined_to_are_refused() {
    let mut old = encoder_for(&[1, 100]);
    old.opset_import[0].version = 9;
    let words = merge::adapted(&old, &Hears::Audio { samples: 100 }, &[1, 100], None).unwrap_err().to_string();
    assert!(words.contains("version 9") && words.contains("13 to 22"), "{words}");
    let words = merge::adapted(&encoder_for(&[1, 100]), &Hears::Audio { samples: 100 }, &[1, 100], Some("z"));
    assert!(words.unwrap_err().to_string().contains("«z»; it has: y"));
}

/// Names inside a branch are those of the graph around it.
#[test]
fn graphs_inside_a_node_are_renamed_with_it() {
    let branch = |name: &str| {
        let mut g = GraphBuilder::new(name);
        g.output("inside", &[1, 4]);
        g.node("Tanh", &["x"], &["inside"], &[]);
        pb::AttributeProto {
            name: name.into(),
            r#type: pb::attribute_proto::AttributeType::Graph as i32,
            g: g.finish().graph,
            ..Default::default()
        }
    };
    let mut g = GraphBuilder::new("encoder");
    g.input("x", &[1, 4]).output("y", &[1, 4]).initializer("zero", &[1], &[0.0]);
    g.node("ReduceSum", &["x"], &["sum"], &[("keepdims", Attribute::Int(0))]);
    g.node("Greater", &["sum", "zero"], &["loud"], &[]);
    g.node("If", &["loud"], &["y"], &[]);
    let mut model = g.finish();
    let graph = model.graph.as_mut().unwrap();
    graph.node[2].attribute = vec![branch("then_branch"), branch("else_branch")];
    let adapted = merge::adapted(&model, &Hears::Audio { samples: 4 }, &[1, 4], None).unwrap();
    let Ok(library) = crate::engine::library(None) else { return eprintln!("skipped: no ONNX Runtime") };
    let open = crate::engine::Network::open;
    let mut network = open(&encode(&adapted), &library, crate::engine::Provider::Cpu, &[1, 1, 4], None).unwrap();
    let (_, out) = network.run(&[0.5, 0.0, 0.0, 0.0]).unwrap();
    assert!((out[0] - 0.5_f32.tanh()).abs() < 1e-6);
}

/// A sequence of embeddings that is the audio itself, cut into pieces.
fn pieces(time: usize, size: usize) -> (pb::ModelProto, Hears) {
    let samples = time * size;
    let mut g = GraphBuilder::new("encoder");
    g.input("x", &[1, samples]).output("y", &[1, time, size]);
    let shape = [1, i64::try_from(time).unwrap(), i64::try_from(size).unwrap()];
    g.initializer_i64("shape", &[3], &shape);
    g.node("Reshape", &["x", "shape"], &["y"], &[]);
    (g.finish(), Hears::Audio { samples })
}

#[test]
fn every_engine_answers_as_each_head_does_on_its_encoder() {
    use burn::tensor::Device;
    use tocco_models::{CARD_FORMAT, Card, NetworkKind, Task};

    let (time, size) = (9, 6);
    let (encoder, hears) = pieces(time, size);
    let classes = ["bowed", "plucked", "none"].map(String::from);
    let (mean, deviation) = (vec![0.1; size], vec![0.7; size]);
    for kind in <HeadKind as clap::ValueEnum>::value_variants() {
        let head = heads::settings(kind.shape(time).unwrap(), Task::Technique, &classes, time, (&mean, &deviation));
        let net = crate::net::Net::new(&head.net(), 7, &Device::flex());
        let (graph, states) = crate::export::onnx_model(&net, &head);
        let adapted = merge::adapted(&encoder, &hears, &[1, time * size], None).unwrap();
        let whole = merge::merged(adapted, (time, size), graph, &states).unwrap();
        let card = Card {
            format: CARD_FORMAT,
            name: kind.name(),
            task: Task::Technique,
            classes: classes.to_vec(),
            sample_rate: 16_000,
            frontend: None,
            network: NetworkKind::Audio { samples: time * size, hop: size },
            temperature: 1.0,
            offsets: Vec::new(),
            thresholds: Vec::new(),
            data: Vec::new(),
            licence: String::new(),
            metrics: std::collections::BTreeMap::new(),
            reference: None,
        };
        let bytes = encode(&tocco_models::onnx::with_card(whole, &card).unwrap());
        let inputs = [windows::room(time * size, 1), crate::export::plucked(16_000, time * size)];
        let expected = inputs.each_ref().map(|input| learn::logits_of(&net, &head, input, &Device::flex()));
        let asked = crate::export::Asked { inputs: &inputs, expected: &expected };
        let checks = crate::export::check_engines(&bytes, &asked, &crate::export::OrtCheck::usual());
        let checks = checks.unwrap_or_else(|e| panic!("{}: {e:#}", kind.name()));
        let compared = |check: &&crate::export::Check| matches!(check.outcome, crate::export::Outcome::Agrees(_));
        assert!(checks.iter().filter(compared).count() >= 1, "{checks:?}");
        let apart = expected[0].iter().zip(&expected[1]).any(|(a, b)| (a - b).abs() > 1e-3);
        assert!(apart, "{}: the head hears a difference", kind.name());
    }
}

/// An encoder that adds a weight and a constant, and gives one embedding: `[frames * mels, size]` numbers to `size`.
fn one_embedding(shape: &[usize], size: usize) -> pb::ModelProto {
    let numbers: usize = shape.iter().product();
    let weights: Vec<f32> = (0..numbers * size).map(|i| (i as f32 * 0.7).sin() / 4.0).collect();
    let mut g = GraphBuilder::new("encoder");
    g.input("x", shape).output("y", &[1, size]).initializer("w", &[numbers, size], &weights);
    g.initializer_i64("flat", &[2], &[1, i64::try_from(numbers).unwrap()]);
    g.node("Constant", &[], &["moved"], &[("value_floats", Attribute::Floats(vec![0.25; size]))]);
    g.node("Reshape", &["x", "flat"], &["w_in"], &[]);
    g.node("MatMul", &["w_in", "w"], &["seen"], &[]);
    g.node("Add", &["seen", "moved"], &["sum"], &[]);
    g.node("Tanh", &["sum"], &["y"], &[]);
    let mut model = g.finish();
    // A node that is called as a weight is: both names are legal together.
    model.graph.as_mut().unwrap().node[1].name = "w".into();
    model
}

#[test]
fn successive_windows_give_what_each_of_them_gives_alone() {
    let Ok(library) = crate::engine::library(None) else { return eprintln!("skipped: no ONNX Runtime") };
    let open = |graph: &pb::ModelProto, hears: &Hears| {
        let provider = crate::engine::Provider::Cpu;
        crate::engine::Network::open(&encode(graph), &library, provider, &hears.input().1, None).unwrap()
    };
    // As long as it is high, so that no axis is taken for another by its length.
    let frontend = tocco_models::FrontendConfig { mels: 6, hop: 160, ..tocco_models::FrontendConfig::default() };
    let log_mel = Hears::LogMel { frames: 6, frontend, bands_first: true, scale: 0.5, offset: 1.0 };
    for (one, shape, step_s, unit) in
        [(Hears::Audio { samples: 400 }, vec![1, 400], 0.01, 1), (log_mel, vec![1, 6, 6], 0.02, 6)]
    {
        let wish = Wish { windows: Some(3), step_s: Some(step_s), ..Wish::default() };
        let (successive, whole) = Successive::wished(&one, 16_000, &wish).unwrap().unwrap();
        let adapted = merge::adapted(&one_embedding(&shape, 5), &one, &shape, None).unwrap();
        let mut alone = open(&adapted, &one);
        let mut together = open(&successive.over(&adapted, (1, 5), &whole).unwrap(), &whole);
        let numbers: usize = whole.input().1.iter().product();
        let sound = windows::room(numbers, 3);
        let each = one.input().1.iter().product::<usize>();
        let starts = (0..3).map(|window| window * successive.step * unit);
        let expected: Vec<f32> = starts.flat_map(|from| alone.run(&sound[from..from + each]).unwrap().1).collect();
        let (dims, found) = together.run(&sound).unwrap();
        assert_eq!(dims, [1, 3, 5]);
        assert_eq!(found, expected);
    }
}

#[test]
fn successive_windows_that_can_not_be_are_refused() {
    let one = Hears::Audio { samples: 16_000 };
    let wish =
        |windows, step_s| Successive::wished(&one, 16_000, &Wish { windows: Some(windows), step_s, ..Wish::default() });
    let refused = |windows, step_s| wish(windows, step_s).unwrap_err().to_string();
    assert_eq!(wish(1, None).unwrap(), None);
    assert_eq!(wish(4, None).unwrap().unwrap().1, Hears::Audio { samples: 40_000 }, "half a window later each");
    assert_eq!(wish(4, Some(1.0)).unwrap().unwrap().1, Hears::Audio { samples: 64_000 });
    assert!(refused(0, None).contains("--encoder-windows is 0: 1 to 64"));
    assert!(refused(1, Some(0.5)).contains("--encoder-windows 4"));
    assert!(
        refused(2, Some(1.5)).contains("--encoder-step-s is 1.5: it must lie between 0 and the length of a window, 1")
    );
    assert!(refused(2, Some(f64::NAN)).contains("--encoder-step-s is NaN"));
    assert!(refused(60, None).contains("30.5 s together: at most 30"));
}
