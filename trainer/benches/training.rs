//! A training step of `stream-tcn` on the processor: ours against the same network in PyTorch, in turns.
//!
//! `cargo bench --workspace --bench training [-- --quick]`. Both get two threads. PyTorch runs the quickest of three
//! ways to write the network, and waits for its threads in the quicker of two ways.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop at once")]

mod common;

use std::time::Instant;

use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use common::Peer;
use serde_json::json;
use tocco_models::Task;
use tocco_trainer::memory;
use tocco_trainer::net::{Net, NetConfig, Shape};
use tocco_trainer::train::{NetKind, Options, Tensors, Weighting, loss, preset};

const THREADS: usize = 2;
const BATCH: usize = 16;
/// Frames in a scene.
const TIME: usize = 250;
/// Steps in a turn.
const STEPS: usize = 5;

fn main() {
    let turns = if std::env::args().any(|a| a == "--quick") { 4 } else { 30 };
    memory::keep_freed();
    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global().unwrap();
    println!("a training step of stream-tcn, {BATCH} scenes of {TIME} frames, {THREADS} threads, ms");
    for (name, task, classes) in [("instruments", Task::Instruments, 16), ("techniques", Task::Technique, 5)] {
        let options = preset(NetKind::StreamTcn, task);
        let mut torch = quicker_peer(&options, classes);
        let mut ours = Learner::new(&options, classes);
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for _ in 0..turns {
            our_times.push(ours.seconds() / STEPS as f64);
            their_times.push(torch.ask::<f64>(&json!({"steps": STEPS})) / STEPS as f64);
        }
        let (ours, theirs) = (Times::of(our_times), Times::of(their_times));
        println!("{name}: tocco {ours}, PyTorch {theirs}");
        println!(
            "{name}: tocco takes {:.2} times PyTorch's time by the medians, {:.2} times by the quickest turns",
            ours.median / theirs.median,
            ours.least / theirs.least
        );
    }
}

struct Times {
    least: f64,
    median: f64,
}

impl Times {
    fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self { least: seconds[0], median: seconds[seconds.len() / 2] }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "median {:.1}, quickest {:.1}", 1e3 * self.median, 1e3 * self.least)
    }
}

/// PyTorch's threads wait for work in a loop, which is quickest where nothing else runs, or asleep.
fn quicker_peer(options: &Options, classes: usize) -> Peer {
    let Shape::StreamTcn(shape) = &options.shape else { panic!("stream-tcn is a causal stack") };
    let network = json!({
        "mels": options.frontend.mels, "classes": classes, "channels": shape.channels, "kernel": shape.kernel,
        "dilations": shape.dilations, "decay": shape.memory_decay(), "batch": BATCH, "time": TIME,
        "task": if options.task == Task::Technique { "technique" } else { "instruments" }, "threads": THREADS,
    });
    let start = |policy: &str| {
        let mut peer = Peer::start("training_step.py", &[("OMP_WAIT_POLICY", policy)]);
        println!("{} ({policy} waiting)", peer.ask::<String>(&network));
        let seconds = (0..3).map(|_| peer.ask::<f64>(&json!({"steps": STEPS}))).fold(f64::MAX, f64::min);
        (seconds, peer)
    };
    let asleep = start("passive");
    if busy() {
        println!("other programs keep the machine busy: PyTorch's threads wait asleep, else they would be stuck");
        return asleep.1;
    }
    let awake = start("active");
    if awake.0 < asleep.0 { awake.1 } else { asleep.1 }
}

/// Whether more programs than one want a processor, where the system says so.
fn busy() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().and_then(|now| now.parse::<f32>().ok()).is_some_and(|now| now > THREADS as f32 + 1.0)
}

/// What the trainer keeps and does at a step.
struct Learner {
    net: Net,
    optimizer: ModuleOptimizer,
    averaged: Vec<f32>,
    batch: Tensors,
    weighting: Weighting,
}

impl Learner {
    fn new(options: &Options, classes: usize) -> Self {
        let device = Device::flex().autodiff();
        let inputs = options.frontend.mels;
        let config = NetConfig { inputs, classes, shape: options.shape.clone(), own_heads: false };
        let net = Net::new(&config, 1, &device);
        let optimizer = AdamWConfig::new()
            .with_weight_decay(options.weight_decay)
            .with_epsilon(1e-8)
            .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
            .init();
        let averaged = net.weights();
        let weighting = Weighting::plain(options.training.loss_for(options.task));
        let mut this = Self { net, optimizer, averaged, batch: batch(inputs, classes, &device), weighting };
        this.seconds();
        this
    }

    /// How long [`STEPS`] steps take.
    fn seconds(&mut self) -> f64 {
        let start = Instant::now();
        for _ in 0..STEPS {
            self.step();
        }
        start.elapsed().as_secs_f64()
    }

    fn step(&mut self) {
        let logits = self.net.forward(self.batch.frames.clone());
        let loss = loss(&logits, &self.batch, &self.weighting);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        self.net = self.optimizer.step(1e-3, self.net.clone(), gradients);
        for (mean, new) in self.averaged.iter_mut().zip(self.net.weights()) {
            *mean = 0.998 * *mean + 0.002 * new;
        }
    }
}

/// Noise, each frame of one class.
fn batch(inputs: usize, classes: usize, device: &Device) -> Tensors {
    let frames = BATCH * TIME;
    let tensor =
        |numbers: Vec<f32>, last: usize| Tensor::<3>::from_data(TensorData::new(numbers, [BATCH, TIME, last]), device);
    let noise = |i: usize| (i * 7919 % 1000) as f32 / 500.0 - 1.0;
    let one_class = |i: usize| f32::from(u8::from(i % classes == i / classes / 50 % classes));
    let targets: Vec<f32> = (0..frames * classes).map(one_class).collect();
    Tensors {
        frames: tensor((0..frames * inputs).map(noise).collect(), inputs),
        targets: tensor(targets.clone(), classes),
        distribution: tensor(targets, classes),
        one_of: tensor(vec![1.0; frames], 1),
        known: tensor(vec![1.0; frames * classes], classes),
    }
}
