#![allow(clippy::unwrap_used, clippy::expect_used)]

use tocco_models::onnx::{GraphBuilder, encode};

use super::*;

/// Under `cargo xtask test`, which installs everything, nothing may be missing.
fn skipped(why: &str) {
    assert!(std::env::var_os("TOCCO_STRICT").is_none(), "nothing may be missing here: {why}");
    eprintln!("skipped: {why}");
}

/// `x` `[1, 4]` to `tanh(x W)` and, beside it, its square.
fn two_nodes() -> Vec<u8> {
    let mut g = GraphBuilder::new("two nodes");
    g.input("x", &[1, 4]).output("bent", &[1, 2]).output("square", &[1, 2]);
    g.initializer("w", &[4, 2], &[0.5; 8]);
    g.node("MatMul", &["x", "w"], &["sum"], &[]);
    g.node("Tanh", &["sum"], &["bent"], &[]);
    g.node("Mul", &["sum", "sum"], &["square"], &[]);
    encode(&g.finish())
}

#[test]
fn nodes_that_ran_elsewhere_are_named_from_a_profile_that_onnxruntime_wrote() {
    let Ok(library) = library(None) else { return skipped("no library of ONNX Runtime") };
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    let mut session = session(&two_nodes(), &library, Provider::Cpu, 1, Some(&profile)).unwrap();
    session.run(ort::inputs![Tensor::from_array(([1_usize, 4], vec![1.0_f32; 4])).unwrap()]).unwrap();
    let placed = profile_of(&mut session).unwrap();
    let mut operators: Vec<&str> = placed.iter().map(|node| node.operator.as_str()).collect();
    operators.sort_unstable();
    assert_eq!(operators, ["MatMul", "Mul", "Tanh"], "each node once: {placed:?}");

    placement::stays_on(&placed, Provider::Cpu).unwrap();
    let words = placement::stays_on(&placed, Provider::Cuda).unwrap_err().to_string();
    assert!(words.contains("3 of 3 nodes did not run on «cuda»"), "{words}");
    assert!(words.contains("Tanh, on CPUExecutionProvider"), "{words}");
    // One node of several that ran elsewhere is enough.
    let mut mixed = placed;
    for node in mixed.iter_mut().filter(|node| node.operator != "Tanh") {
        node.provider = "CUDAExecutionProvider".into();
    }
    let words = placement::stays_on(&mixed, Provider::Cuda).unwrap_err().to_string();
    assert!(words.contains("1 of 3") && words.contains("Tanh") && !words.contains("MatMul"), "{words}");
}

#[test]
fn a_profile_that_names_no_node_is_no_proof() {
    assert!(placement::read("[]").unwrap_err().to_string().contains("names no node"));
    assert!(placement::read("no JSON").is_err());
    let many: Vec<Placed> = (0..11)
        .map(|i| Placed { node: format!("n{i}"), operator: "Add".into(), provider: "CPUExecutionProvider".into() })
        .collect();
    let words = placement::stays_on(&many, Provider::Coreml).unwrap_err().to_string();
    assert!(words.contains("«n7»") && !words.contains("«n8»") && words.contains("and 3 more"), "{words}");
}

#[test]
fn a_provider_that_is_not_there_is_refused_by_name() {
    let Ok(library) = library(None) else { return skipped("no library of ONNX Runtime") };
    if cfg!(target_os = "macos") {
        return eprintln!("skipped: CoreML may be there");
    }
    for provider in [Provider::Cuda, Provider::Coreml] {
        match Network::open(&two_nodes(), &library, provider, &[1, 4], None) {
            Ok(_) if provider == Provider::Cuda => eprintln!("this machine has an NVIDIA card"),
            Ok(_) => panic!("there is no CoreML here"),
            Err(e) => {
                let words = format!("{e:#}");
                assert!(words.contains(&format!("no execution provider «{}» here", provider.name())), "{words}");
            }
        }
    }
}

#[test]
fn an_output_is_found_by_its_name() {
    let Ok(library) = library(None) else { return skipped("no library of ONNX Runtime") };
    let open = |output| Network::open(&two_nodes(), &library, Provider::Cpu, &[1, 4], output);
    assert_eq!(open(Some("square")).unwrap().run(&[1.0; 4]).unwrap(), (vec![1, 2], vec![4.0; 2]));
    assert_eq!(open(None).unwrap().run(&[0.0; 4]).unwrap(), (vec![1, 2], vec![0.0; 2]));
    let words = open(Some("third")).unwrap_err().to_string();
    assert!(words.contains("«third»") && words.contains("bent, square"), "{words}");
    let words = Network::open(&two_nodes(), &library, Provider::Cpu, &[1, 5], None).unwrap().run(&[0.0; 5]);
    assert!(words.unwrap_err().to_string().contains("[1, 5]"));
}
