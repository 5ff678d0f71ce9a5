//! Where ONNX Runtime ran each node: it says so in the profile of a session, and nowhere else.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Provider;

/// One node of a network and what ran it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The node's name; nodes that ONNX Runtime made itself have names of its own.
    pub node: String,
    /// The operator.
    pub operator: String,
    /// ONNX Runtime's name of the execution provider, e.g. `CPUExecutionProvider`.
    pub provider: String,
}

/// Nodes that a refusal names; of the others it tells the number.
const MOST_NAMED: usize = 8;

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    #[serde(default)]
    op_name: String,
    #[serde(default)]
    provider: String,
}

/// The nodes in a profile (JSON, a list of events), each once, in the order in which they ran.
///
/// # Errors
/// Where this is no profile, or no node ran in it.
pub fn read(profile: &str) -> Result<Vec<Placed>> {
    let events: Vec<Event> =
        serde_json::from_str(profile).context("the profile that ONNX Runtime wrote can't be understood")?;
    let mut placed: Vec<Placed> = Vec::new();
    for event in events.into_iter().filter(|event| event.cat == "Node" && !event.args.provider.is_empty()) {
        let name = event.name.strip_suffix("_kernel_time").unwrap_or(&event.name);
        let node = Placed { node: name.to_owned(), operator: event.args.op_name, provider: event.args.provider };
        if !placed.contains(&node) {
            placed.push(node);
        }
    }
    if placed.is_empty() {
        bail!("the profile that ONNX Runtime wrote names no node: where the network ran is not known");
    }
    Ok(placed)
}

/// Refuses a network of which a node ran elsewhere than asked for.
///
/// # Errors
/// Names the nodes and where they ran.
pub fn stays_on(placed: &[Placed], provider: Provider) -> Result<()> {
    let elsewhere: Vec<&Placed> = placed.iter().filter(|node| node.provider != provider.in_onnxruntime()).collect();
    if elsewhere.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = elsewhere
        .iter()
        .take(MOST_NAMED)
        .map(|node| format!("«{}» ({}, on {})", node.node, node.operator, node.provider))
        .collect();
    let others = match elsewhere.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    bail!(
        "{} of {} nodes did not run on «{}»: {}{others}; nodes that compute shapes vanish where the model is exported \
         with fixed shapes",
        elsewhere.len(),
        placed.len(),
        provider.name(),
        named.join(", "),
    )
}
