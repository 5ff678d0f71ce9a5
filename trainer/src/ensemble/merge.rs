//! The members' graphs in one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tocco_models::onnx::{self, Attribute, GraphBuilder, pb};
use tocco_models::{CARD_FORMAT, Card, Model, NetworkKind, Reference, StateSpec, Task};

/// Added to a mean of posteriors before the logarithm.
const LEAST: f32 = 1e-12;
/// Steps in the card's reference.
const REFERENCE_STEPS: usize = 8;

/// A model of an ensemble.
#[derive(Debug)]
pub struct Member {
    name: String,
    model: Arc<Model>,
    graph: pb::ModelProto,
}

impl Member {
    /// # Errors
    /// Where the file can't be read or is refused.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{}: the file can't be read", path.display()))?;
        let name = path.display().to_string();
        let model = Model::from_bytes(&bytes).with_context(|| name.clone())?;
        Ok(Self { graph: onnx::decode(&bytes).with_context(|| name.clone())?, model, name })
    }

    /// What the member says of itself.
    #[must_use]
    pub fn card(&self) -> &Card {
        self.model.card()
    }

    /// Refuses what can't be run in step with `first`.
    fn check_against(&self, first: &Self) -> Result<()> {
        let (mine, theirs) = (self.card(), first.card());
        let differs = |what: &str| format!("{} and {} can't be one model: {what}", first.name, self.name);
        ensure!(mine.task == theirs.task, differs("one knows one class at a time, the other any number"));
        ensure!(
            mine.classes == theirs.classes,
            differs(&format!("their classes are {} and {}", theirs.classes.join(", "), mine.classes.join(", ")))
        );
        ensure!(
            mine.sample_rate == theirs.sample_rate,
            differs(&format!("they work at {} and {} Hz", theirs.sample_rate, mine.sample_rate))
        );
        ensure!(mine.frontend == theirs.frontend, differs("their log-mel frontends differ"));
        ensure!(
            mine.network.is_stream() == theirs.network.is_stream(),
            differs("one hears frame by frame, the other whole windows")
        );
        ensure!(mine.hop() == theirs.hop(), differs("they decide at different times"));
        let version = |member: &Self| member.graph.opset_import.iter().map(|o| o.version).collect::<Vec<_>>();
        ensure!(version(self) == version(first), differs("they use different versions of ONNX's operators"));
        Ok(())
    }
}

/// The file of an ensemble with these weights, one for each member; members of the weight 0 are left out.
///
/// # Errors
/// Where members can't be run in step, or the graph of one can't be renamed; the sentence names both files.
pub fn merged(members: &[Member], weights: &[f64], name: &str) -> Result<Vec<u8>> {
    let all = members.iter().zip(weights);
    let chosen: Vec<(&Member, f64)> = all.filter(|(_, w)| **w > 0.0).map(|(m, w)| (m, *w)).collect();
    let first = members.first().context("an ensemble needs members")?;
    for member in members {
        ensure!(
            !matches!(member.card().network, NetworkKind::Audio { .. }),
            "{}: it hears raw sound: only models that hear log-mel frames can be merged",
            member.name
        );
        member.check_against(first)?;
    }
    let network = network(&chosen);
    let frames = match &network {
        NetworkKind::Stream { frames_per_step, .. } => *frames_per_step,
        NetworkKind::Window { frames, .. } => *frames,
        NetworkKind::Audio { .. } => 0,
    };
    let size = first.card().frontend.as_ref().map_or(0, tocco_models::FrontendConfig::frame_size);
    let mut builder = GraphBuilder::new("tocco ensemble");
    builder.input("frames", &[1, frames, size]);
    builder.output("logits", &[1, first.card().classes.len()]);
    if let NetworkKind::Stream { states, .. } = &network {
        states.iter().for_each(|s| _ = builder.input(&s.name, &s.shape).output(&s.output_name(), &s.shape));
    }
    for (index, (member, _)) in chosen.iter().enumerate() {
        newest_frames(&mut builder, index, frames, member.card());
    }
    let mut model = builder.finish();
    model.opset_import.clone_from(&first.graph.opset_import);
    let graph = model.graph.as_mut().context("the graph is gone")?;
    for (index, (member, _)) in chosen.iter().enumerate() {
        add_member(graph, index, member)?;
    }
    let mut pool = GraphBuilder::new("pool");
    pooled(&mut pool, &chosen, first.card().task);
    if let Some(pool) = pool.finish().graph {
        graph.node.extend(pool.node);
        graph.initializer.extend(pool.initializer);
    }
    let card = card(&chosen, first.card(), network, name)?;
    Ok(onnx::encode(&onnx::with_card(model, &card)?))
}

/// The longest of the windows, or all states under new names.
fn network(chosen: &[(&Member, f64)]) -> NetworkKind {
    let (mut frames, mut step, mut all) = (0, 1, None);
    for (index, (member, _)) in chosen.iter().enumerate() {
        match &member.card().network {
            NetworkKind::Stream { frames_per_step, states } => {
                step = *frames_per_step;
                let renamed =
                    states.iter().map(|s| StateSpec { name: renamed(index, &s.name), shape: s.shape.clone() });
                all.get_or_insert_with(Vec::new).extend(renamed);
            }
            NetworkKind::Window { frames: mine, frames_per_step } => {
                (frames, step) = (frames.max(*mine), *frames_per_step);
            }
            NetworkKind::Audio { .. } => {}
        }
    }
    match all {
        Some(states) => NetworkKind::Stream { frames_per_step: step, states },
        None => NetworkKind::Window { frames, frames_per_step: step },
    }
}

fn renamed(index: usize, name: &str) -> String {
    // An empty name stands for an input that is left out.
    if name.is_empty() { String::new() } else { format!("m{index}_{name}") }
}

/// What a member hears of a window that may be longer than its own: the newest frames.
fn newest_frames(builder: &mut GraphBuilder, index: usize, frames: usize, card: &Card) {
    let to = format!("m{index}/heard");
    let mine = match &card.network {
        NetworkKind::Window { frames, .. } => *frames,
        _ => frames,
    };
    let names = ["from", "to", "axis"].map(|part| format!("m{index}/{part}"));
    #[expect(clippy::cast_possible_wrap, reason = "frames of a window")]
    for (name, value) in names.iter().zip([(frames - mine) as i64, frames as i64, 1]) {
        builder.initializer_i64(name, &[1], &[value]);
    }
    builder.node("Slice", &["frames", &names[0], &names[1], &names[2]], &[&to], &[]);
}

/// All of a member's nodes and weights under new names.
fn add_member(graph: &mut pb::GraphProto, index: usize, member: &Member) -> Result<()> {
    let Some(mine) = &member.graph.graph else { bail!("{}: it holds no network", member.name) };
    let weights: Vec<&str> = mine.initializer.iter().map(|t| t.name.as_str()).collect();
    // Older files list their weights among the inputs.
    let heard = mine.input.iter().map(|i| i.name.as_str()).find(|name| !weights.contains(name)).unwrap_or_default();
    let new = |name: &str| if name == heard { format!("m{index}/heard") } else { renamed(index, name) };
    for node in &mine.node {
        ensure!(
            node.attribute.iter().all(|a| a.g.is_none() && a.graphs.is_empty()),
            "{}: its operator {} holds a network of its own: such a model can't be merged",
            member.name,
            node.op_type
        );
        let mut node = node.clone();
        node.name = renamed(index, &node.name);
        node.input.iter_mut().chain(&mut node.output).for_each(|name| *name = new(name));
        graph.node.push(node);
    }
    graph.initializer.extend(mine.initializer.iter().cloned().map(|mut tensor| {
        tensor.name = new(&tensor.name);
        tensor
    }));
    // The pool reads the logits by this name, whatever the member calls them.
    let logits = mine.output.first().map(|o| new(&o.name)).unwrap_or_default();
    let mut alias = GraphBuilder::new("alias");
    alias.node("Identity", &[&logits], &[&format!("m{index}/logits")], &[]);
    graph.node.extend(alias.finish().graph.map(|g| g.node).unwrap_or_default());
    Ok(())
}

/// Logits of the weighted mean of posteriors: its logarithm for softmax, its log-odds for sigmoid.
fn pooled(builder: &mut GraphBuilder, chosen: &[(&Member, f64)], task: Task) {
    builder.initializer("least", &[1], &[LEAST]);
    let sides: &[(&str, f32)] = match task {
        Task::Technique => &[("is", 1.0)],
        Task::Instruments => &[("is", 1.0), ("is_not", -1.0)],
    };
    for (side, sign) in sides {
        let mut sum = "least".to_owned();
        for (index, (member, weight)) in chosen.iter().enumerate() {
            let part = |what: &str| format!("m{index}/{side}_{what}");
            #[expect(clippy::cast_possible_truncation, reason = "weights are kept as 32-bit floats")]
            builder.initializer(&part("weight"), &[1], &[*weight as f32]);
            builder.initializer(&part("scale"), &[1], &[sign / member.card().temperature]);
            builder.node("Mul", &[&format!("m{index}/logits"), &part("scale")], &[&part("scaled")], &[]);
            match task {
                Task::Technique => {
                    let offsets = &member.card().offsets;
                    let mut logits = part("scaled");
                    if !offsets.is_empty() {
                        builder.initializer(&part("offsets"), &[1, offsets.len()], offsets);
                        builder.node("Add", &[&logits, &part("offsets")], &[&part("offset")], &[]);
                        logits = part("offset");
                    }
                    let last = [("axis", Attribute::Int(1))];
                    builder.node("Softmax", &[&logits], &[&part("posterior")], &last)
                }
                Task::Instruments => builder.node("Sigmoid", &[&part("scaled")], &[&part("posterior")], &[]),
            };
            builder.node("Mul", &[&part("posterior"), &part("weight")], &[&part("weighted")], &[]);
            builder.node("Add", &[&sum, &part("weighted")], &[&part("sum")], &[]);
            sum = part("sum");
        }
        let to = if sides.len() == 1 { "logits".to_owned() } else { format!("log_{side}") };
        builder.node("Log", &[&sum], &[&to], &[]);
    }
    if task == Task::Instruments {
        builder.node("Sub", &["log_is", "log_is_not"], &["logits"], &[]);
    }
}

fn card(chosen: &[(&Member, f64)], first: &Card, network: NetworkKind, name: &str) -> Result<Card> {
    let mut data: Vec<tocco_models::DataSource> = Vec::new();
    let mut licences: Vec<&str> = Vec::new();
    for (member, _) in chosen {
        let card = member.card();
        for source in &card.data {
            if !data.contains(source) {
                data.push(source.clone());
            }
        }
        if !card.licence.is_empty() && !licences.contains(&card.licence.as_str()) {
            licences.push(&card.licence);
        }
    }
    let threshold = |class: usize| chosen.iter().map(|(m, w)| w * f64::from(m.card().threshold(class))).sum::<f64>();
    #[expect(clippy::cast_possible_truncation, reason = "a threshold between 0 and 1")]
    let thresholds = match first.task {
        Task::Technique => Vec::new(),
        Task::Instruments => (0..first.classes.len()).map(|class| threshold(class).clamp(0.0, 1.0) as f32).collect(),
    };
    let mut card = Card {
        format: CARD_FORMAT,
        name: name.to_owned(),
        network,
        // Each member's is in the graph.
        temperature: 1.0,
        offsets: Vec::new(),
        thresholds,
        data,
        licence: licences.join("; "),
        metrics: BTreeMap::new(),
        reference: None,
        ..first.clone()
    };
    card.reference = Some(reference(chosen, &card)?);
    Ok(card)
}

/// Inputs that the members brought with them, and what the members' own answers to them make together.
fn reference(chosen: &[(&Member, f64)], card: &Card) -> Result<Reference> {
    let step = card.step_input();
    let known = chosen.iter().map(|(member, _)| member.card()).filter(|c| c.step_input() == step);
    let input = known.filter_map(|c| c.reference.as_ref()).map(|r| r.input.clone()).next();
    let mut input = input.unwrap_or_else(|| vec![0.0; step]);
    input.truncate(REFERENCE_STEPS * step);
    let output = answers(chosen, card.task, card.classes.len(), &input, step)?;
    Ok(Reference { input, output })
}

/// The weighted combination, step by step, by the members themselves.
fn answers(chosen: &[(&Member, f64)], task: Task, classes: usize, input: &[f32], step: usize) -> Result<Vec<f32>> {
    let mut sums = vec![[f64::from(LEAST); 2]; input.len() / step * classes];
    for (member, weight) in chosen {
        let card = member.card();
        let mut runner = member.model.runner()?;
        let mut logits = vec![0.0; classes];
        for (frames, sums) in input.chunks_exact(step).zip(sums.chunks_exact_mut(classes)) {
            runner.step(&frames[step - card.step_input()..], &mut logits)?;
            let offset = |class: usize| card.offsets.get(class).copied().unwrap_or(0.0);
            let scaled: Vec<f64> =
                logits.iter().enumerate().map(|(c, z)| f64::from(z / card.temperature + offset(c))).collect();
            let most = scaled.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = scaled.iter().map(|z| (z - most).exp()).sum();
            for (sum, z) in sums.iter_mut().zip(scaled) {
                let (is, is_not) = match task {
                    Task::Technique => ((z - most).exp() / total, 0.0),
                    Task::Instruments => (1.0 / (1.0 + (-z).exp()), 1.0 / (1.0 + z.exp())),
                };
                *sum = [sum[0] + weight * is, sum[1] + weight * is_not];
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "logits")]
    let logits = sums.iter().map(|[is, is_not]| match task {
        Task::Technique => is.ln() as f32,
        Task::Instruments => (is.ln() - is_not.ln()) as f32,
    });
    Ok(logits.collect())
}
