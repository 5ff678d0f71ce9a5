//! Recordings to embeddings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tocco_models::onnx::{self, pb};
use tocco_models::resample_all;

use super::cache::{Cache, Embeddings, fingerprint};
use super::hears::{Hears, Wish, understand};
use super::successive::Successive;
use super::{merge, windows};
use crate::audio;
use crate::engine::{self, Network, Provider};
use crate::segments::Segmentation;

/// A row that can't be learnt from, whatever the encoder.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unusable(pub String);

/// Which encoder it is and how it is used: what a run remembers of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Its file.
    pub path: PathBuf,
    /// Stands for the file's bytes.
    pub fingerprint: String,
    /// Samples a second.
    pub rate: u32,
    /// What is heard for a decision.
    pub hears: Hears,
    /// How many windows that is, where it is more than the encoder's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successive: Option<Successive>,
    /// Shape of its own input.
    pub shape: Vec<usize>,
    /// The output that is taken; the first one by default.
    pub output: Option<String>,
}

/// An encoder that can be run.
#[derive(Debug)]
pub struct Encoder {
    /// Which one it is.
    pub identity: Identity,
    /// Its graph behind the input of a card.
    graph: pb::ModelProto,
    network: Network,
    cache: Option<Cache>,
    /// Recordings that it heard, and those whose embeddings were kept from before.
    pub counts: (usize, usize),
}

impl Encoder {
    /// Opens an encoder and says in a sentence what is fed to it.
    ///
    /// # Errors
    /// Where the file is refused, its input fits neither audio nor log-mel, its rate is not known, a wish contradicts
    /// its graph, or ONNX Runtime or the provider is not there.
    pub fn open(
        path: &Path,
        wish: &Wish,
        output: Option<&str>,
        provider: Provider,
        cache: Option<Cache>,
    ) -> Result<(Self, String)> {
        let at = || format!("{}: the encoder can't be used", path.display());
        let (bytes, model) = read(path)?;
        let rate = wish.rate.or_else(|| named_rate(&model)).with_context(|| {
            format!("{}: the encoder does not say at which rate it hears: say it with --encoder-rate", path.display())
        })?;
        let (one, shape, mut remark) = understand(&model, rate, wish).with_context(at)?;
        let (successive, hears) = match Successive::wished(&one, rate, wish)? {
            Some((successive, whole)) => {
                remark += &successive.sentence(&whole, rate);
                (Some(successive), whole)
            }
            None => (None, one),
        };
        let identity = Identity {
            path: path.to_owned(),
            fingerprint: fingerprint(&[&bytes]),
            rate,
            hears,
            successive,
            shape,
            output: output.map(str::to_owned),
        };
        let encoder = Self::start(identity, &model, provider, cache).with_context(at)?;
        Ok((encoder, format!("{}: {remark}", path.display())))
    }

    /// The encoder that a run was trained with, on the processor.
    ///
    /// # Errors
    /// Where the file is gone or is another one now.
    pub fn reopen(identity: &Identity) -> Result<Self> {
        let (bytes, model) = read(&identity.path)?;
        if fingerprint(&[&bytes]) != identity.fingerprint {
            bail!("{}: this is not the encoder that the head was trained on", identity.path.display());
        }
        Self::start(identity.clone(), &model, Provider::Cpu, None)
            .with_context(|| format!("{}: the encoder can't be used", identity.path.display()))
    }

    fn start(identity: Identity, model: &pb::ModelProto, provider: Provider, cache: Option<Cache>) -> Result<Self> {
        let one = identity.successive.as_ref().map_or(&identity.hears, |successive| &successive.one);
        let mut graph = merge::adapted(model, one, &identity.shape, identity.output.as_deref())?;
        let library = engine::library(None)?;
        let open = |graph: &pb::ModelProto, hears: &Hears| {
            Network::open(&onnx::encode(graph), &library, provider, &hears.input().1, None)
        };
        let mut network = open(&graph, one)?;
        if let Some(successive) = &identity.successive {
            let (time, size, _) = embed(&mut network, &silence(one, identity.rate)?)?;
            graph = successive.over(&graph, (time, size), &identity.hears)?;
            network = open(&graph, &identity.hears)?;
        }
        Ok(Self { identity, graph, network, cache, counts: (0, 0) })
    }

    /// Its graph behind the input of a card.
    pub(super) fn graph(&self) -> &pb::ModelProto {
        &self.graph
    }

    /// The embeddings of one window: how many, their size, and the numbers.
    ///
    /// # Errors
    /// Where the encoder fails, or its output is neither one embedding nor a sequence of them.
    pub(super) fn embed(&mut self, input: &[f32]) -> Result<(usize, usize, Vec<f32>)> {
        embed(&mut self.network, input)
    }

    /// How many embeddings a window gives, and their size.
    ///
    /// # Errors
    /// As [`Encoder::embed`].
    pub(super) fn sizes(&mut self) -> Result<(usize, usize)> {
        let (time, size, _) = self.embed(&silence(&self.identity.hears, self.identity.rate)?)?;
        Ok((time, size))
    }

    /// The embeddings of at most `count` windows of a recording, cut as `cut` says, or else at moments at which it sounds.
    ///
    /// # Errors
    /// Where the recording can't be decoded or is silent, or holds no window, or the encoder fails.
    pub fn recording(&mut self, path: &Path, count: usize, cut: Option<&Segmentation>) -> Result<Embeddings> {
        let sound = std::fs::read(path).with_context(|| format!("{}: the recording can't be read", path.display()))?;
        let (count_bytes, how) = (count.to_le_bytes(), cut.map(serde_json::to_vec).transpose()?);
        let heard: [&[u8]; 3] = [b"whole recording", &sound, &count_bytes];
        let key = self.key(&heard.into_iter().chain(how.as_deref()).collect::<Vec<_>>())?;
        self.kept(&key, |encoder| {
            let sound = audio::decode(path)?;
            let samples = resample_all(&sound.samples, f64::from(sound.rate), f64::from(encoder.identity.rate))?;
            let (rate, at) = (encoder.identity.rate, path.display());
            let ends = match cut {
                None => windows::ends(&samples, rate, count),
                Some(cut) => windows::cut(&samples, rate, cut, count),
            };
            if ends.is_empty() {
                let reason =
                    if cut.is_some() { "no window of it holds enough sound" } else { "the recording is silent" };
                return Err(Unusable(format!("{at}: {reason}")).into());
            }
            encoder.all(&samples, &ends)
        })
    }

    /// The embeddings of `count` rooms in which nobody plays.
    ///
    /// # Errors
    /// Where the encoder fails.
    pub fn rooms(&mut self, count: usize) -> Result<Embeddings> {
        let key = self.key(&[b"rooms", &count.to_le_bytes()])?;
        self.kept(&key, |encoder| {
            let length = 2 * encoder.identity.hears.samples();
            let samples: Vec<f32> = (0..count as u64).flat_map(|seed| windows::room(length, seed)).collect();
            let ends: Vec<usize> = (1..=count).map(|room| room * length).collect();
            encoder.all(&samples, &ends)
        })
    }

    fn all(&mut self, samples: &[f32], ends: &[usize]) -> Result<Embeddings> {
        let mut out = Embeddings { windows: ends.len(), ..Embeddings::default() };
        for (index, &end) in ends.iter().enumerate() {
            let seed = index as u64;
            let input = windows::input(samples, end, self.identity.rate, &self.identity.hears, seed)?;
            let (time, size, numbers) = self.embed(&input)?;
            (out.time, out.size) = (time, size);
            out.numbers.extend(numbers);
        }
        Ok(out)
    }

    fn kept(&mut self, key: &str, make: impl FnOnce(&mut Self) -> Result<Embeddings>) -> Result<Embeddings> {
        if let Some(found) = self.cache.as_ref().and_then(|cache| cache.get(key)) {
            self.counts.1 += 1;
            return Ok(found);
        }
        let made = make(self)?;
        self.counts.0 += 1;
        if let Some(cache) = &self.cache {
            cache.put(key, &made)?;
        }
        Ok(made)
    }

    /// What embeddings depend on: the encoder, how it is fed, and what it hears.
    fn key(&self, sound: &[&[u8]]) -> Result<String> {
        let how = serde_json::to_vec(&Identity { path: PathBuf::new(), ..self.identity.clone() })?;
        Ok(fingerprint(&[&[how.as_slice()], sound].concat()))
    }
}

/// [`Encoder::embed`], of a network that is not yet an encoder's.
fn embed(network: &mut Network, input: &[f32]) -> Result<(usize, usize, Vec<f32>)> {
    let (shape, numbers) = network.run(input)?;
    let inner: Vec<usize> = shape.iter().copied().skip_while(|d| *d == 1).collect();
    let (time, size) = match inner.as_slice() {
        [] => (1, 1),
        [size] => (1, *size),
        [time, size] => (*time, *size),
        _ => bail!(
            "its output has the shape {shape:?}: neither one embedding [1, size] nor a sequence [1, time, size]; \
             another output can be named with --encoder-output"
        ),
    };
    ensure!(time * size > 0, "its output has the shape {shape:?}: that is empty");
    ensure!(numbers.iter().all(|n| n.is_finite()), "its output holds a number that is not finite");
    Ok((time, size, numbers))
}

/// A window of a room in which nobody plays.
fn silence(hears: &Hears, rate: u32) -> Result<Vec<f32>> {
    let length = hears.samples();
    Ok(windows::input(&windows::room(length, 1), length, rate, hears, 1)?)
}

fn read(path: &Path) -> Result<(Vec<u8>, pb::ModelProto)> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: the encoder can't be read", path.display()))?;
    let model = onnx::decode(&bytes).map_err(|e| e.in_file(path))?;
    Ok((bytes, model))
}

/// The rate in the file's metadata, under one of the names that people use.
fn named_rate(model: &pb::ModelProto) -> Option<u32> {
    ["sample_rate", "sampling_rate", "sr"].iter().find_map(|key| onnx::metadata(model, key)?.trim().parse().ok())
}
