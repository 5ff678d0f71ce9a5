#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::test_models;
use proptest::prelude::*;

fn refused(change: impl FnOnce(&mut pb::GraphProto)) -> String {
    let mut model = test_models::graph();
    change(model.graph.as_mut().unwrap());
    decode(&encode(&model)).unwrap_err().to_string()
}

#[test]
fn every_fault_is_named() {
    let weights = |g: &mut pb::GraphProto| g.initializer.iter().position(|t| t.name == "w").unwrap();
    let nan = refused(|g| {
        let w = weights(g);
        g.initializer[w].raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert!(nan.contains("«w»") && nan.contains("not finite"), "{nan}");
    let outside = refused(|g| {
        let w = weights(g);
        g.initializer[w].raw_data.clear();
        g.initializer[w].data_location = Some(1);
        g.initializer[w].external_data =
            vec![pb::StringStringEntryProto { key: "location".into(), value: "../../etc/passwd".into() }];
    });
    assert!(outside.contains("another file (../../etc/passwd)"), "{outside}");
    let huge = refused(|g| {
        let w = weights(g);
        g.initializer[w].dims = vec![i64::MAX, 2];
    });
    assert!(huge.contains("its shape is"), "{huge}");
    let short = refused(|g| {
        let w = weights(g);
        g.initializer[w].raw_data.pop();
    });
    assert!(short.contains("wants 48 numbers"), "{short}");
    let empty = refused(|g| g.node.clear());
    assert!(empty.contains("no network"), "{empty}");
}

#[test]
fn a_file_cut_anywhere_is_refused_or_misses_its_card() {
    let whole = test_models::bytes();
    for cut in (0..whole.len()).step_by(7) {
        assert!(crate::Model::from_bytes(&whole[..cut]).is_err(), "cut at {cut} of {}", whole.len());
    }
    crate::Model::from_bytes(&whole).unwrap();
}

#[test]
fn the_card_comes_back_as_it_went_in() {
    let model = decode(&test_models::bytes()).unwrap();
    let card = Card::from_json(metadata(&model, CARD_KEY).unwrap()).unwrap();
    assert_eq!(card, test_models::card());
    // A second card replaces the first.
    let twice = with_card(model, &Card { name: "other".into(), ..card }).unwrap();
    assert_eq!(twice.metadata_props.len(), 1);
}

#[test]
fn bytes_that_would_swell_in_memory_are_refused_before_they_are_decoded() {
    // 5 million empty nodes: 10 MB in the file, most of a gigabyte as a graph.
    let nodes = [0x0a_u8, 0x00].repeat(5_000_000);
    let mut bytes = vec![0x3a];
    prost::encoding::encode_varint(nodes.len() as u64, &mut bytes);
    bytes.extend(nodes);
    let error = decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("bytes beside them"), "{error}");
    // The same inside a tensor of weights: 5 million entries about files that hold its numbers.
    let entries = [0x6a_u8, 0x00].repeat(5_000_000);
    let field = |tag: u8, inner: &[u8]| {
        let mut field = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut field);
        [field, inner.to_vec()].concat()
    };
    let error = decode(&field(0x3a, &field(0x2a, &entries))).unwrap_err().to_string();
    assert!(error.contains("1 tensors of weights and 100000"), "{error}");
}

/// Some exporters write weights as constants.
#[test]
fn weights_in_nodes_are_weights() {
    let tensor =
        pb::TensorProto { raw_data: vec![0; 12 << 20], dims: vec![3 << 20], data_type: 1, ..Default::default() };
    let attribute = pb::AttributeProto { name: "value".into(), t: Some(tensor), r#type: 4, ..Default::default() };
    let node = pb::NodeProto { op_type: "Constant".into(), attribute: vec![attribute], ..Default::default() };
    let graph = pb::GraphProto { node: vec![node], ..Default::default() };
    decode(&encode(&pb::ModelProto { graph: Some(graph), ..Default::default() })).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(crate::Model::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_broken_byte_never_panics(at in 0usize..1_000_000, value: u8) {
        let mut bytes = test_models::bytes();
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = crate::Model::from_bytes(&bytes);
    }
}
