use nice_plug::prelude::Params as _;

use super::*;
use crate::params::Channel;

const SYSTEMS: &[&str] = &[JACK, "alsa"];

fn list(system: &str) -> Result<Listing, String> {
    if system == JACK { Err("no server".into()) } else { Ok(Listing::default()) }
}

fn values(params: &ToccoParams) -> serde_json::Value {
    serde_json::to_value(params.state().params).unwrap()
}

fn standalone(file: &Path) -> Standalone {
    Standalone::read(file, SYSTEMS, list)
}

#[test]
fn what_was_set_is_there_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Tocco").join("standalone.json");
    let first = standalone(&file);
    assert_eq!(first.choice().system, "alsa", "JACK's server does not run");
    let params = ToccoParams::default();
    first.restore(&params);
    assert_eq!(values(&params), values(&ToccoParams::default()), "nothing is kept yet");

    let choice =
        Choice { system: "alsa".into(), input: Some("USB".into()), buffer: 64, monitor: true, ..Choice::default() };
    first.choose(&choice);
    params.settings.change(|settings| settings.name = "stage".into());
    // Not a value is left as it was.
    for (_, pointer, _) in params.param_map() {
        // SAFETY: `params` owns it and lives on.
        unsafe {
            pointer._internal_set_normalized_value(if pointer.default_normalized_value() < 0.5 { 0.75 } else { 0.0 })
        };
    }
    first.keep(&params);
    assert_eq!(first.notice(), None);

    let second = standalone(&file);
    assert_eq!(second.choice(), choice);
    let restored = ToccoParams::default();
    second.restore(&restored);
    assert_eq!(restored.settings.snapshot().settings.name, "stage");
    assert_eq!(values(&restored), values(&params));
    assert_eq!(restored.channel.value(), Channel::Left);
    assert_eq!(second.notice(), None);
}

/// A guess holds for one start: the next may find JACK running.
#[test]
fn what_nobody_chose_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("standalone.json");
    let first = standalone(&file);
    assert_eq!(first.choice().system, "alsa");
    first.keep(&ToccoParams::default());
    let with_jack = Standalone::read(&file, SYSTEMS, |_| Ok(Listing::default()));
    assert_eq!(with_jack.choice().system, JACK);
}

#[test]
fn a_file_that_is_broken_or_newer_is_put_aside_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("standalone.json");
    let broken = [("{\"tocco_standalone\": 1", "EOF"), ("{\"tocco_standalone\": 2}", "of version 2")];
    for (number, (text, why)) in (1..).zip(broken) {
        std::fs::write(&file, text).unwrap();
        let standalone = standalone(&file);
        let told = standalone.notice().unwrap();
        let aside = format!("standalone.broken-{number}.json");
        assert!(told.contains("standalone.json: no settings of this Tocco") && told.contains(why), "{told}");
        assert!(told.contains(&aside), "{told}");
        standalone.choose(&Choice::default());
        assert_eq!(std::fs::read_to_string(folder.path().join(aside)).unwrap(), text);
    }
}

#[test]
fn what_can_not_be_read_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    // A folder in the file's place can neither be read nor replaced by a file.
    let file = folder.path().join("standalone.json");
    std::fs::create_dir(&file).unwrap();
    let standalone = standalone(&file);
    assert!(standalone.notice().unwrap().contains("standalone.json: it can't be read"), "{:?}", standalone.notice());
    standalone.choose(&Choice::default());
    assert!(file.is_dir());
}

#[test]
fn a_system_of_another_computer_gives_way() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = standalone(&folder.path().join("standalone.json"));
    standalone.choose(&Choice { system: "wasapi".into(), ..Choice::default() });
    assert_eq!(standalone.choice().system, "alsa");
}

#[test]
fn the_command_line_says_the_choice() {
    let choice = Choice { system: "alsa".into(), input: Some("USB Audio".into()), buffer: 96, ..Choice::default() };
    let told = choice.arguments(None);
    let after = |option: &str| told.iter().find_map(|one| one.strip_prefix(option)?.strip_prefix('='));
    assert_eq!(after("--input-device"), Some("USB Audio"));
    assert_eq!((after("--period-size"), after("--audio-layout")), (Some("96"), Some("1")));
    let between: f32 = after("--input-latency").unwrap().parse().unwrap();
    assert!((between - 0.004).abs() < 1e-6, "two buffers of 2 ms: {between}");
    assert_eq!(after("--midi-output"), None);

    let jack = Choice { system: JACK.into(), input: Some("system:capture_2".into()), ..Choice::default() };
    let told = jack.arguments(Some((44_100, 1024)));
    let wanted = ["--backend=jack", "--sample-rate=44100", "--period-size=1024"];
    assert_eq!(told[..3], wanted, "what the server says");
    assert_eq!(told[3..], ["--connect-jack-inputs=system:capture_2"]);
}

fn device(name: &str, channels: u16, rates: (u32, u32), buffers: (u32, u32)) -> Device {
    Device { name: name.into(), formats: vec![Format { channels, rates, buffers }] }
}

/// Windows has one buffer, of 10 ms; a Mac's microphone one channel; many an interface eight.
#[test]
fn only_what_the_devices_have_is_offered() {
    let listing = Listing {
        inputs: vec![
            device("microphone", 1, (44_100, 48_000), (14, 4096)),
            device("windows", 2, (48_000, 48_000), (480, 480)),
            device("interface", 8, (44_100, 192_000), (16, 4096)),
        ],
        usual_output: Some(device("loudspeaker", 2, (44_100, 96_000), (64, 4096))),
        ..Listing::default()
    };
    let [microphone, windows, interface] = &listing.inputs[..] else { panic!() };
    let mut choice = Choice { system: "alsa".into(), rate: 96_000, buffer: 32, ..Choice::default() };
    choice.take_input(Some(microphone), &listing);
    assert_eq!((choice.channels, choice.rate, choice.buffer), (1, 48_000, 64), "the loudspeaker has no 32");
    assert_eq!(listing.rates(&choice), [44_100, 48_000]);
    assert_eq!(listing.buffers(&choice), [64, 128, 256, 512, 1024]);
    assert!(choice.arguments(None).contains(&"--audio-layout=2".into()), "mono");

    choice.take_input(Some(windows), &listing);
    assert_eq!((choice.channels, choice.rate, choice.buffer), (2, 48_000, 480));
    assert_eq!(listing.buffers(&choice), [480]);
    assert_eq!(interface.layout(), None);
}
