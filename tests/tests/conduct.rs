//! The plugin behaves, whatever a host asks: what validators of plugins check, and more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::ffi::CString;
use std::io::{Error, Read, Write};

use clack_extensions::audio_ports::{AudioPortFlags, AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::audio_ports_config::{AudioPortsConfigBuffer, PluginAudioPortsConfig};
use clack_extensions::gui::{GuiApiType, GuiConfiguration, PluginGui};
use clack_extensions::note_ports::{NoteDialect, NotePortInfoBuffer, PluginNotePorts};
use clack_extensions::params::PluginParams;
use clack_extensions::render::PluginRender;
use clack_extensions::tail::TailLength;
use clack_extensions::track_info::PluginTrackInfo;
use clack_extensions::*;
use clack_host::extensions::prelude::{Extension, PluginExtensionSide};
use clack_host::prelude::*;
use serde_json::json;
use tocco_tests::host::{Host, Message};
use tocco_tests::sounds::{LOW_AND_HIGH, render};
use tocco_tests::state::State;
use tocco_tests::{locate, synthetic};

fn host() -> Host {
    Host::load(&locate::clap().unwrap()).unwrap()
}

/// The first name of an extension, if the plugin has it.
fn offered<E: Extension<ExtensionSide = PluginExtensionSide>>(plugin: &PluginMainThreadHandle) -> Option<&'static str> {
    plugin.get_extension::<E>().map(|_| E::IDENTIFIERS[0].to_str().unwrap())
}

#[test]
fn the_plugin_offers_the_extensions_that_hosts_need_and_no_others() {
    let questions = [
        offered::<PluginAudioPorts>,
        offered::<PluginAudioPortsConfig>,
        offered::<PluginGui>,
        offered::<latency::PluginLatency>,
        offered::<PluginNotePorts>,
        offered::<PluginParams>,
        offered::<remote_controls::PluginRemoteControls>,
        offered::<PluginRender>,
        offered::<state::PluginState>,
        offered::<tail::PluginTail>,
        offered::<PluginTrackInfo>,
        // Those it has not.
        offered::<ambisonic::PluginAmbisonic>,
        offered::<audio_ports_activation::PluginAudioPortsActivation>,
        offered::<audio_ports_config::PluginAudioPortsConfigInfo>,
        offered::<configurable_audio_ports::PluginConfigurableAudioPorts>,
        offered::<context_menu::PluginContextMenu>,
        offered::<note_name::PluginNoteName>,
        offered::<param_indication::PluginParamIndication>,
        offered::<preset_discovery::PluginPresetLoad>,
        offered::<state_context::PluginStateContext>,
        offered::<surround::PluginSurround>,
        offered::<thread_pool::PluginThreadPool>,
        offered::<timer::PluginTimer>,
        offered::<voice_info::PluginVoiceInfo>,
    ];
    let found: Vec<&str> = host().ask(|plugin| questions.iter().filter_map(|question| question(plugin)).collect());
    let expected = [
        "clap.audio-ports",
        "clap.audio-ports-config",
        "clap.gui",
        "clap.latency",
        "clap.note-ports",
        "clap.params",
        "clap.remote-controls/2",
        "clap.render",
        "clap.state",
        "clap.tail",
        "clap.track-info/1",
    ];
    assert_eq!(found, expected);
}

#[test]
fn ports_agree_with_the_layout_that_was_chosen() {
    let mut host = host();
    host.ask(|plugin| {
        let layouts: PluginAudioPortsConfig = plugin.get_extension().unwrap();
        let ports: PluginAudioPorts = plugin.get_extension().unwrap();
        let mut channels = Vec::new();
        assert_eq!(layouts.count(plugin), 2);
        for index in 0..2 {
            let mut buffer = AudioPortsConfigBuffer::new();
            let layout = layouts.get(plugin, index, &mut buffer).unwrap();
            assert!(!layout.name.is_empty());
            layouts.select(plugin, layout.id).unwrap();
            let main = layout.main_input.unwrap().channel_count;
            assert_eq!(layout.main_output.unwrap().channel_count, main);
            for is_input in [true, false] {
                assert_eq!(ports.count(plugin, is_input), 1);
                let mut buffer = AudioPortInfoBuffer::new();
                let port = ports.get(plugin, 0, is_input, &mut buffer).unwrap();
                assert_eq!(port.channel_count, main);
                assert!(port.flags.contains(AudioPortFlags::IS_MAIN) && !port.name.is_empty());
                assert!(port.in_place_pair.is_some(), "the sound can pass in place");
                assert!(ports.get(plugin, 1, is_input, &mut buffer).is_none());
            }
            channels.push(main);
        }
        assert_eq!(channels, [2, 1]);
        assert!(layouts.get(plugin, 2, &mut AudioPortsConfigBuffer::new()).is_none());
        assert!(layouts.select(plugin, ClapId::new(99)).is_err());

        let notes: PluginNotePorts = plugin.get_extension().unwrap();
        for is_input in [true, false] {
            assert_eq!(notes.count(plugin, is_input), 1);
            let mut buffer = NotePortInfoBuffer::new();
            let port = notes.get(plugin, 0, is_input, &mut buffer).unwrap();
            assert!(port.supported_dialects.supports(NoteDialect::Midi) && !port.name.is_empty());
            assert!(notes.get(plugin, 1, is_input, &mut buffer).is_none());
        }
    });
}

#[test]
fn latency_tail_rendering_and_window_are_what_the_plugin_says_everywhere() {
    let mut host = Host::on_track(&locate::clap().unwrap(), Some("Violin")).unwrap();
    assert_eq!(host.latency(), 0);
    for offline in [true, false] {
        host.set_offline(offline).unwrap();
    }
    host.ask(|plugin| {
        let rendering: PluginRender = plugin.get_extension().unwrap();
        assert!(!rendering.has_realtime_requirement(plugin), "a bounce must be possible");
        plugin.get_extension::<PluginTrackInfo>().unwrap().changed(plugin);
        let window: PluginGui = plugin.get_extension().unwrap();
        let preferred = window.get_preferred_api(plugin).unwrap();
        assert!(window.is_api_supported(plugin, preferred) && !preferred.is_floating);
        let foreign = if cfg!(windows) { GuiApiType::X11 } else { GuiApiType::WIN32 };
        let unknown = GuiConfiguration { api_type: foreign, is_floating: false };
        assert!(!window.is_api_supported(plugin, unknown));
        assert!(window.create(plugin, unknown).is_err());
        let size = window.get_size(plugin).unwrap();
        assert!((400..4000).contains(&size.width) && (300..4000).contains(&size.height), "{size:?}");
        assert!(window.can_resize(plugin));
        // None is open: each of these says so.
        assert!(window.set_size(plugin, size).is_err() && window.show(plugin).is_err() && window.hide(plugin).is_err());
        window.destroy(plugin);
    });
    let mut processor = host.activate(48_000.0, 64).unwrap();
    let mut output = vec![vec![0.0; 64]; 2];
    processor.process(&[&[0.0; 64], &[0.0; 64]], &mut output, &[]).unwrap();
    // Silence is heard too: a host that stopped calling would leave notes hanging.
    assert!(matches!(processor.tail(), Some(TailLength::Infinite)));
    assert_eq!(host.latency(), 0);
    host.deactivate(processor);
}

#[test]
fn what_a_parameter_is_called_leads_back_to_it() {
    let mut host = host();
    let parameters = host.parameters().unwrap();
    assert_eq!(parameters.len(), 17, "{parameters:?}");
    for parameter in &parameters {
        let (id, name) = (parameter.id, &parameter.name);
        let (least, most) = (*parameter.range.start(), *parameter.range.end());
        assert!(least < most && parameter.range.contains(&parameter.default), "{name}");
        assert_eq!(host.value(id).unwrap(), parameter.default, "{name} before anybody touched it");
        host.ask(|plugin| {
            let extension: PluginParams = plugin.get_extension().unwrap();
            let say = |value: f64| {
                let mut buffer = [0; 128];
                let text = extension.value_to_text(plugin, id, value, &mut buffer).unwrap();
                String::from_utf8(text.to_vec()).unwrap()
            };
            let understand = |text: &str| extension.text_to_value(plugin, id, &CString::new(text).unwrap());
            for step in 0..=100 {
                let value = least + (most - least) * f64::from(step) / 100.0;
                let text = say(value);
                assert!(!text.is_empty(), "{name} at {value}");
                let back = understand(&text).unwrap_or_else(|| panic!("{name} does not understand its own «{text}»"));
                assert!(parameter.range.contains(&back), "{name}: «{text}» is {back}");
                assert_eq!(say(back), text, "{name}: {value} is «{text}», which is {back}");
                if most > 1.0 {
                    assert!((back - value.round()).abs() < 1e-3, "{name} has steps: {value} came back as {back}");
                }
            }
            for nonsense in ["", "seventeen and a half", "12 parsecs", "NaN", "inf", "1e999", "-", "\u{221e}"] {
                let answer = understand(nonsense);
                let is_fit = answer.is_none_or(|value| parameter.range.contains(&value));
                assert!(is_fit, "{name}: «{nonsense}» is {answer:?}");
            }
        });
    }
    assert!(host.value(ClapId::new(7)).is_err());
}

/// A stream that hands over at most `step` bytes a call and fails at a place, if one is given.
struct Slow {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
    fails_at: Option<usize>,
}

impl Slow {
    fn new(bytes: &[u8], step: usize, fails_at: Option<usize>) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, step, fails_at }
    }

    fn length(&self, wanted: usize, present: usize) -> std::io::Result<usize> {
        let left = self.fails_at.map_or(usize::MAX, |end| end - self.at);
        if left == 0 { Err(Error::other("the disk is gone")) } else { Ok(wanted.min(self.step).min(present).min(left)) }
    }
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.length(buffer.len(), self.bytes.len() - self.at)?;
        buffer[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl Write for Slow {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let length = self.length(buffer.len(), usize::MAX)?;
        self.bytes.extend(&buffer[..length]);
        self.at += length;
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn changed() -> State {
    State::empty()
        .with_parameter("gate_dbfs", json!({"f32": -41.5}))
        .with_parameter("min_conf", json!({"f32": 0.375}))
        .with_setting("name", "Cello «due»".into())
}

#[test]
fn a_state_passes_through_streams_of_a_few_bytes_a_call() {
    let mut host = host();
    host.restore(&changed()).unwrap();
    let mut whole = Vec::new();
    host.save_to(&mut whole).unwrap();
    for step in [1, 3, 7] {
        let mut written = Slow::new(&[], step, None);
        host.save_to(&mut written).unwrap();
        assert!(written.bytes == whole, "written {step} bytes a call");

        let mut second = self::host();
        // A host may keep something else behind it.
        let read = [&whole[..], b"the next plugin's"].concat();
        second.restore_from(&mut Slow::new(&read, step, None)).unwrap();
        assert_eq!(second.save().unwrap(), host.save().unwrap(), "read {step} bytes a call");
    }
}

#[test]
fn a_stream_that_fails_is_told_and_changes_nothing() {
    let mut host = host();
    host.restore(&changed()).unwrap();
    let mut other = Vec::new();
    self::host().save_to(&mut other).unwrap();
    let before = host.save().unwrap();
    for end in [0, 3, 8, 9, other.len() / 2, other.len() - 1] {
        for step in [1, 7, usize::MAX] {
            assert!(host.restore_from(&mut Slow::new(&other, step, Some(end))).is_err(), "failed after {end} bytes");
            assert_eq!(host.save().unwrap(), before, "failed after {end} bytes");
            assert!(host.restore_from(&mut Slow::new(&other[..end], step, None)).is_err(), "ended after {end} bytes");
            assert_eq!(host.save().unwrap(), before, "ended after {end} bytes");
            assert!(host.save_to(&mut Slow::new(&[], step, Some(end))).is_err(), "written {end} bytes");
        }
    }
    assert_eq!(host.save().unwrap(), before);
}

#[test]
fn numbers_out_of_range_are_brought_into_it_and_the_plugin_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("high_low.onnx");
    std::fs::write(&model, synthetic::model().unwrap()).unwrap();
    let wild = State::empty()
        .with_model(&model)
        .with_parameter("osc_on", json!({"bool": false}))
        .with_parameter("gate_dbfs", json!({"f32": -1e30}))
        .with_parameter("gate_hold", json!({"f32": -4}))
        .with_parameter("smooth_ms", json!({"f32": 1e30}))
        .with_parameter("smooth_sens", json!({"f32": 0}))
        .with_parameter("hyster", json!({"f32": -3}))
        .with_parameter("min_conf", json!({"f32": -1e300}))
        .with_parameter("min_dur", json!({"f32": -1e-3}))
        .with_parameter("smooth_kind", json!({"i32": 70}))
        .with_parameter("slot", json!({"i32": i32::MAX}));
    let mut host = host();
    host.set_offline(true).unwrap();
    // Before it is activated, and while it plays.
    for is_active in [false, true] {
        let mut processor = None;
        if is_active {
            host.restore(&State::empty().with_model(&model)).unwrap();
            processor = Some(host.activate(48_000.0, 512).unwrap());
        }
        host.restore(&wild).unwrap();
        let saved = host.save().unwrap();
        let kept: Vec<_> = ["gate_dbfs", "gate_hold", "smooth_ms", "smooth_sens", "hyster", "min_conf", "min_dur"]
            .iter()
            .map(|id| saved.parameter(id)["f32"].as_f64().unwrap() as f32)
            .collect();
        assert_eq!(kept, [-90.0, 0.0, 2000.0, 0.001, 0.0, 0.0, 0.0]);
        assert_eq!(
            (saved.parameter("slot"), saved.parameter("smooth_kind")),
            (&json!({"i32": 8}), &json!({"string": "leaky"}))
        );
        let mut processor = processor.unwrap_or_else(|| host.activate(48_000.0, 512).unwrap());
        // The moving average, so that something is decided within the sound.
        host.restore(&wild.clone().with_parameter("smooth_kind", json!({"string": "average"}))).unwrap();
        let sound = vec![render(&LOW_AND_HIGH, 48_000.0); 2];
        let (heard, emitted) = processor.run(&sound, 512).unwrap();
        assert!(heard == sound);
        let moved = emitted.iter().filter(|event| matches!(event.message, Message::Midi(_))).count();
        assert!(moved > 10, "{moved} controllers: it recognises no longer (active: {is_active})");
        host.deactivate(processor);
    }
}
