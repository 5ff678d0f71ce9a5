use super::*;

const SYSTEMS: &[&str] = &[JACK, "alsa"];

fn list(system: &str) -> Result<Listing, String> {
    if system == JACK { Err("no server".into()) } else { Ok(Listing::default()) }
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
    assert_eq!(params.gate_dbfs.value(), ToccoParams::default().gate_dbfs.value());

    let choice =
        Choice { system: "alsa".into(), input: Some("USB".into()), buffer: 64, monitor: true, ..Choice::default() };
    first.choose(&choice);
    params.settings.change(|settings| settings.name = "stage".into());
    let gate = params.param_map().into_iter().find(|(id, ..)| id == "gate_dbfs").unwrap().1;
    // SAFETY: `params` owns it and lives on.
    unsafe { gate._internal_set_normalized_value(0.25) };
    first.keep(&params);
    assert_eq!(first.notice(), None);

    let second = standalone(&file);
    assert_eq!(second.choice(), choice);
    let restored = ToccoParams::default();
    second.restore(&restored);
    assert_eq!(restored.settings.snapshot().settings.name, "stage");
    assert_eq!(restored.gate_dbfs.value(), params.gate_dbfs.value());
    assert_eq!(second.notice(), None);
}

#[test]
fn a_file_that_is_broken_or_newer_is_put_aside_and_named() {
    for (text, why) in [("{\"params\": 3", "invalid type"), ("{\"tocco_standalone\": 2}", "of version 2")] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("standalone.json");
        std::fs::write(&file, text).unwrap();
        let standalone = standalone(&file);
        let told = standalone.notice().unwrap();
        assert!(told.contains("standalone.json: no settings of this Tocco") && told.contains(why), "{told}");
        assert!(told.contains("standalone.broken.json"), "{told}");
        standalone.choose(&Choice::default());
        assert_eq!(std::fs::read_to_string(folder.path().join("standalone.broken.json")).unwrap(), text);
    }
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
    let told = choice.arguments();
    let after = |option: &str| told.iter().find_map(|one| one.strip_prefix(option)?.strip_prefix('='));
    assert_eq!(after("--input-device"), Some("USB Audio"));
    assert_eq!(after("--period-size"), Some("96"));
    let between: f32 = after("--input-latency").unwrap().parse().unwrap();
    assert!((between - 0.004).abs() < 1e-6, "two buffers of 2 ms: {between}");
    assert_eq!(after("--midi-output"), None);

    let jack = Choice { system: JACK.into(), input: Some("system:capture_2".into()), ..Choice::default() };
    assert_eq!(jack.arguments(), ["--backend=jack", "--connect-jack-inputs=system:capture_2"]);
}
