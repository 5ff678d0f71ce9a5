//! The smallest host: calls the plugin as a wrapper would, without any wrapper's own allocations.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::time::{Duration, Instant};

use nice_plug::context::process::SendEventError;
use nice_plug::prelude::*;
use tocco_plugin::Tocco;
use tocco_plugin::pool::system_calls;

/// Events that fit into one block.
const ROOM: usize = 1024;

pub struct Activation;

impl ActivateContext<Tocco> for Activation {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Clap
    }
    fn execute(&self, (): ()) {}
    fn set_latency_samples(&self, samples: u32) {
        assert_eq!(samples, 0);
    }
    fn set_current_voice_capacity(&self, _capacity: u32) {}
}

/// One block's events, in and out.
pub struct Block {
    pub transport: Transport,
    incoming: Vec<NoteEvent<()>>,
    pub sent: Vec<NoteEvent<()>>,
}

impl Block {
    pub fn new(sample_rate: f32) -> Self {
        let mut transport = Transport::new(sample_rate);
        transport.playing = true;
        Self { transport, incoming: Vec::with_capacity(ROOM), sent: Vec::with_capacity(ROOM) }
    }
}

impl ProcessContext<Tocco> for Block {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Clap
    }
    fn execute_background(&self, (): ()) {}
    fn execute_gui(&self, (): ()) {}
    fn transport(&self) -> &Transport {
        &self.transport
    }
    fn next_event(&mut self) -> Option<NoteEvent<()>> {
        self.incoming.pop()
    }
    fn try_send_event(&mut self, event: NoteEvent<()>) -> Result<(), (NoteEvent<()>, SendEventError)> {
        if self.sent.len() == self.sent.capacity() {
            return Err((event, SendEventError::HostBufferFull));
        }
        self.sent.push(event);
        Ok(())
    }
    fn set_latency_samples(&self, samples: u32) {
        assert_eq!(samples, 0);
    }
    fn request_restart(&self) {}
    fn set_current_voice_capacity(&self, _capacity: u32) {}
}

/// A plugin in a host of its own, mono.
pub struct Host {
    pub plugin: Tocco,
    pub block: Block,
    /// How often the system's allocator was called while the plugin processed.
    pub system_calls: u64,
    buffer: Buffer<'static>,
}

impl Host {
    /// Activated, with these settings (see the state's documentation) and parameters.
    pub fn new(
        settings: &serde_json::Value,
        params: &[(&str, f32)],
        sample_rate: f32,
        largest: u32,
        mode: ProcessMode,
    ) -> Self {
        let plugin = Tocco::default();
        plugin.params().deserialize_fields(&[("settings".to_owned(), settings.to_string())].into());
        let mut host = Self { plugin, block: Block::new(sample_rate), system_calls: 0, buffer: Buffer::default() };
        for (id, normalized) in params {
            host.set(id, *normalized);
        }
        // SAFETY: the slice is set to a live one before every use.
        unsafe { host.buffer.set_slices(0, |slices| slices.push(&mut [])) };
        host.activate(sample_rate, largest, mode);
        host
    }

    /// Sets a parameter, as the host's automation would between two blocks.
    pub fn set(&self, id: &str, normalized: f32) {
        let held = self.plugin.params();
        let (_, pointer, _) = held.param_map().into_iter().find(|(known, ..)| known == id).unwrap();
        // SAFETY: `held` owns what the pointer points to.
        unsafe { pointer._internal_set_normalized_value(normalized) };
    }

    pub fn activate(&mut self, sample_rate: f32, largest: u32, mode: ProcessMode) {
        let config = BufferConfig { sample_rate, min_buffer_size: None, max_buffer_size: largest, process_mode: mode };
        assert!(self.plugin.activate(&Tocco::AUDIO_IO_LAYOUTS[1], &config, &mut Activation));
        self.plugin.reset();
    }

    /// One block of at most the largest size, in place.
    pub fn process(&mut self, samples: &mut [f32]) {
        self.block.sent.clear();
        let mut aux = AuxiliaryBuffers { inputs: &mut [], outputs: &mut [] };
        let length = samples.len();
        // SAFETY: `samples` lives until the end of this call, and so does every use of the buffer: the slice is
        // taken back below.
        unsafe {
            let lasting: &'static mut [f32] = std::slice::from_raw_parts_mut(samples.as_mut_ptr(), length);
            self.buffer.set_slices(length, |slices| slices[0] = lasting);
        }
        let before = system_calls();
        self.plugin.process(&mut self.buffer, &mut aux, &mut self.block);
        self.system_calls += system_calls() - before;
        // SAFETY: as above.
        unsafe { self.buffer.set_slices(0, |slices| slices[0] = &mut []) };
    }
}

/// Keeps the time of playing. After a stall it does not catch up, as a sound card would not.
#[derive(Default)]
pub struct Pace {
    due: Option<Instant>,
}

impl Pace {
    /// Waits until a block of so many seconds has been played.
    pub fn wait(&mut self, block_s: f64) {
        let now = Instant::now();
        let due = self.due.unwrap_or(now).max(now - Duration::from_millis(20)) + Duration::from_secs_f64(block_s);
        std::thread::sleep(due.saturating_duration_since(now));
        self.due = Some(due);
    }
}

/// What this program holds in memory; 0 on systems that keep no such file.
pub fn resident_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

/// What is allocated and not yet freed. Unlike what is resident it knows no fragments and no arenas that the system's
/// allocator keeps: how many of those there are depends on how the threads met, and grows on a busy machine.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn allocated_bytes() -> usize {
    // SAFETY: reads the allocator's own counters under its locks and answers with a plain structure.
    let counted = unsafe { libc::mallinfo2() };
    counted.uordblks + counted.hblkhd
}

/// Three seconds of sound between silences: a tone with partials that decays, then noise.
pub fn phrase(sample_rate: f32) -> Vec<f32> {
    let seconds = |s: f32| (s * sample_rate) as usize;
    let mut noise = 1_u32;
    let mut sound = vec![0.0; seconds(0.4)];
    sound.extend((0..seconds(1.2)).map(|n| {
        let t = n as f32 / sample_rate;
        let partial = |k: f32| (std::f32::consts::TAU * 110.0 * k * t).sin() / k;
        0.3 * (-2.0 * t).exp() * (1..8).map(|k| partial(k as f32)).sum::<f32>()
    }));
    sound.extend(vec![0.0; seconds(0.4)]);
    sound.extend((0..seconds(0.6)).map(|_| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        0.2 * ((noise >> 8) as f32 / 8_388_608.0 - 1.0)
    }));
    sound.extend(vec![0.0; seconds(0.4)]);
    sound
}
