//! What can be listened to on this machine.

use std::fmt;

use anyhow::{Result, bail, ensure};
use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{BufferSize, HostId, SampleFormat, SupportedBufferSize, SupportedStreamConfigRange};

/// ALSA's device that is there on every machine and gives zeros.
const ALSA_ZEROS: &str = "null";
/// Buffers that are tried before the backend chooses: each doubles the one before.
const MOST_DOUBLINGS: u32 = 12;

/// A device that sound comes from.
#[derive(Clone)]
pub struct Input {
    /// What drives it: ALSA, JACK, CoreAudio, WASAPI.
    pub backend: HostId,
    /// As the backend calls it for people.
    pub name: String,
    /// As the backend calls it for programs.
    pub id: String,
    pub(super) device: cpal::Device,
    is_default: bool,
    usual_rate: Option<u32>,
    ranges: Vec<SupportedStreamConfigRange>,
}

/// One way to run a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Configuration {
    pub channels: u16,
    pub rate: u32,
    pub format: SampleFormat,
    buffer: SupportedBufferSize,
}

/// The input devices of one backend (`jack`, `alsa`, ...), or of all, that of the system's choice first.
///
/// # Errors
/// There is no such backend on this system, or no device at all.
pub fn inputs(backend: Option<&str>) -> Result<Vec<Input>> {
    let backends = match backend {
        Some(name) => vec![by_name(name)?],
        None => all_backends(),
    };
    let devices: Vec<Input> = backends.iter().flat_map(|&backend| of_backend(backend)).collect();
    let names: Vec<&str> = backends.iter().map(HostId::name).collect();
    ensure!(
        !devices.is_empty(),
        "there is no audio device to listen to (asked: {}): plug one in, or start JACK",
        names.join(", ")
    );
    Ok(devices)
}

/// The device of a name, a unique part of it, or a number of the list, counted from 1; without a wish, the one that the
/// system takes by default.
///
/// # Errors
/// There is none, or several; the sentence lists what there is.
pub fn pick<'a>(devices: &'a [Input], wish: Option<&str>) -> Result<&'a Input> {
    let Some(wish) = wish else {
        let default = devices.iter().find(|device| device.is_default).or(devices.first());
        return default.ok_or_else(|| anyhow::anyhow!("there is no audio device to listen to"));
    };
    let there_is = || {
        let listed: Vec<String> =
            devices.iter().enumerate().map(|(i, device)| format!("{} «{}»", i + 1, device.name)).collect();
        format!("there is: {}", listed.join(", "))
    };
    if let Some(device) = devices.iter().find(|device| device.name == wish || device.id == wish) {
        return Ok(device);
    }
    if let Ok(number) = wish.parse::<usize>() {
        let device = number.checked_sub(1).and_then(|index| devices.get(index));
        return device.ok_or_else(|| anyhow::anyhow!("there is no audio device {number}; {}", there_is()));
    }
    let part = wish.to_lowercase();
    let mut matching = devices.iter().filter(|device| device.name.to_lowercase().contains(&part));
    match (matching.next(), matching.next()) {
        (Some(device), None) => Ok(device),
        (Some(_), Some(_)) => bail!("several audio devices are called «{wish}»; {}", there_is()),
        (None, _) => bail!("no audio device is called «{wish}»; {}", there_is()),
    }
}

impl Input {
    /// How to run it so that `channel`, counted from 1, is heard: at its usual rate, with as few channels as that takes.
    pub(super) fn configuration(&self, channel: u16) -> Result<Configuration> {
        super::check_channel(channel)?;
        let most = self.most_channels();
        let channels = if most == 1 { "one channel".into() } else { format!("{most} channels") };
        ensure!(channel <= most, "«{}» has {channels}: there is no channel {channel}", self.name);
        let fit = self.ranges.iter().filter(|range| range.channels() >= channel);
        let best = fit.min_by_key(|range| (self.rate_of(range).1, rank(range.sample_format()), range.channels()));
        let Some(best) = best else { bail!("«{}» says nothing about its formats", self.name) };
        Ok(Configuration {
            channels: best.channels(),
            rate: self.rate_of(best).0,
            format: best.sample_format(),
            buffer: *best.buffer_size(),
        })
    }

    /// The rate nearest to the usual one that a range has, and how far it is from it.
    fn rate_of(&self, range: &SupportedStreamConfigRange) -> (u32, u32) {
        let wanted = self.usual_rate.unwrap_or(48_000);
        let rate = wanted.clamp(range.min_sample_rate(), range.max_sample_rate());
        (rate, rate.abs_diff(wanted))
    }

    fn most_channels(&self) -> u16 {
        self.ranges.iter().map(SupportedStreamConfigRange::channels).max().unwrap_or(0)
    }

    /// The smallest buffer that it claims to have, in frames.
    #[must_use]
    pub fn smallest_buffer(&self) -> Option<u32> {
        let sizes = self.ranges.iter().filter_map(|range| match range.buffer_size() {
            SupportedBufferSize::Range { min, .. } => Some(*min),
            SupportedBufferSize::Unknown => None,
        });
        sizes.min()
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = || self.ranges.iter();
        let (fewest, most) =
            (ranges().map(SupportedStreamConfigRange::channels).min().unwrap_or(0), self.most_channels());
        let lowest = ranges().map(SupportedStreamConfigRange::min_sample_rate).min().unwrap_or(0);
        let highest = ranges().map(SupportedStreamConfigRange::max_sample_rate).max().unwrap_or(0);
        write!(f, "{} ({}), ", self.name, self.id)?;
        write!(f, "{}, ", span(u32::from(fewest), u32::from(most), if most == 1 { "channel" } else { "channels" }))?;
        write!(f, "{}, ", span(lowest, highest, "Hz"))?;
        match self.smallest_buffer() {
            Some(frames) => write!(f, "smallest buffer {frames} samples"),
            None => write!(f, "buffer chosen by the system"),
        }
    }
}

impl Configuration {
    /// Refuses a buffer that the device does not have.
    pub fn check_buffer(&self, input: &Input, frames: u32) -> Result<()> {
        if let SupportedBufferSize::Range { min, max } = self.buffer {
            ensure!(
                (min..=max).contains(&frames),
                "«{}» has buffers of {}: {frames} can't be had",
                input.name,
                span(min, max, "samples")
            );
        }
        Ok(())
    }

    /// What a device calls its smallest buffer may be refused together with the rest: twice as much is tried then, and
    /// in the end what the backend would choose.
    pub fn buffers_from_the_smallest(&self) -> Vec<BufferSize> {
        let mut sizes = Vec::new();
        if let SupportedBufferSize::Range { min, max } = self.buffer {
            let doubled =
                (0..MOST_DOUBLINGS).map_while(|times| min.max(1).checked_shl(times)).take_while(|&n| n <= max);
            sizes.extend(doubled.map(BufferSize::Fixed));
        }
        sizes.push(BufferSize::Default);
        sizes
    }
}

/// The backends of this system, the usual one first.
fn all_backends() -> Vec<HostId> {
    let usual = cpal::default_host().id();
    let others = cpal::available_hosts().into_iter().filter(|&backend| backend != usual);
    [usual].into_iter().chain(others).collect()
}

fn by_name(name: &str) -> Result<HostId> {
    let backends = all_backends();
    match backends.iter().find(|backend| backend.name().eq_ignore_ascii_case(name)) {
        Some(&backend) => Ok(backend),
        None => {
            let names: Vec<String> = backends.iter().map(ToString::to_string).collect();
            bail!("there is no audio backend «{name}» here; there is: {}", names.join(", "))
        }
    }
}

/// The inputs of one backend; none where it is not running.
fn of_backend(backend: HostId) -> Vec<Input> {
    let Ok(host) = cpal::host_from_id(backend) else { return Vec::new() };
    let default = host.default_input_device().and_then(|device| device.id().ok());
    let Ok(devices) = host.input_devices() else { return Vec::new() };
    let about = |device: cpal::Device| {
        let (id, description) = (device.id().ok()?, device.description().ok()?);
        // JACK's output has formats to record in, too.
        if !description.supports_input() {
            return None;
        }
        let ranges: Vec<_> = device.supported_input_configs().ok()?.collect();
        Some(Input {
            backend,
            name: description.name().to_owned(),
            id: id.id().to_owned(),
            is_default: default.as_ref() == Some(&id),
            usual_rate: device.default_input_config().ok().map(|config| config.sample_rate()),
            ranges,
            device,
        })
    };
    devices.filter_map(about).filter(|input| input.id != ALSA_ZEROS && input.most_channels() > 0).collect()
}

/// Which format is taken where a device has several: what holds most, and costs least to read.
fn rank(format: SampleFormat) -> usize {
    const BEST_FIRST: [SampleFormat; 7] = [
        SampleFormat::F32,
        SampleFormat::I32,
        SampleFormat::I24,
        SampleFormat::F64,
        SampleFormat::I16,
        SampleFormat::U16,
        SampleFormat::U8,
    ];
    BEST_FIRST.iter().position(|&known| known == format).unwrap_or(BEST_FIRST.len())
}

fn span(low: u32, high: u32, unit: &str) -> String {
    if low == high { format!("{low} {unit}") } else { format!("{low} to {high} {unit}") }
}
