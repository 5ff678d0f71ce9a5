#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const RATE: f64 = 1000.0;

fn decide(input: &mut TakeInput, at: u64, active: &[usize], probability: f32) {
    let posterior = [probability; 4];
    let decision = Decision {
        known_at: at + 5,
        about: at,
        gate_open: true,
        posterior: &posterior,
        class: active.first().copied(),
        active: active.iter().copied().collect(),
        confidence: probability,
        changed: false,
        level_dbfs: -20.0,
    };
    input.decided(&decision, at);
}

fn names(_: u64) -> Option<(Vec<String>, Option<usize>)> {
    Some((["bowed", "plucked", "trill", "none"].map(String::from).into(), Some(3)))
}

fn started() -> (TakeInput, Take) {
    let (mut input, take) = take();
    input.start(RATE);
    input.model(1);
    (input, take)
}

fn told(take: &Take) -> Vec<(&str, f64, f64)> {
    take.spans().map(|span| &span.segment).map(|s| (s.name.as_str(), s.start_s, s.end_s)).collect()
}

#[test]
fn spans_reach_from_change_to_change_and_none_is_not_told() {
    let (mut input, mut take) = started();
    for (at, class) in [(0, 3), (100, 0), (200, 0), (300, 1), (400, 3), (500, 2)] {
        decide(&mut input, at, &[class], 0.8);
    }
    take.take_in(names, |_| ());
    assert_eq!(told(&take), [("bowed", 0.1, 0.3), ("plucked", 0.3, 0.4)]);
    assert!((take.spans().next().unwrap().segment.confidence - 0.8).abs() < 0.01);
    decide(&mut input, 600, &[2], 0.8);
    take.take_in(names, |_| ());
    let lasting: Vec<Segment> = take.lasting().collect();
    assert_eq!((lasting.len(), &*lasting[0].name, lasting[0].start_s, lasting[0].end_s), (1, "trill", 0.5, 0.6));
}

#[test]
fn time_goes_on_over_activations_and_what_lasted_ends_there() {
    let (mut input, mut take) = started();
    decide(&mut input, 1000, &[0], 1.0);
    decide(&mut input, 2000, &[0], 1.0);
    input.start(2.0 * RATE);
    input.model(2);
    decide(&mut input, 1000, &[1], 1.0);
    decide(&mut input, 2000, &[], 1.0);
    take.take_in(names, |_| ());
    assert_eq!(told(&take), [("bowed", 1.0, 2.0), ("plucked", 2.5, 3.0)]);
}

#[test]
fn sound_keeps_its_time_over_gaps() {
    let (mut input, mut take) = started();
    let mut heard = Vec::new();
    input.sound(&[1.0; 10], 0);
    take.take_in(names, |_| panic!("nobody asked for it"));
    take.watch(true);
    input.sound(&[2.0; 10], 10);
    input.sound(&[3.0; 10], 20);
    // A gap of 70 samples.
    input.sound(&[4.0; 10], 100);
    take.take_in(names, |sound| {
        heard.extend((0_u32..).zip(sound.samples).map(|(n, s)| (sound.start_s + f64::from(n) / RATE, *s)))
    });
    let at = |time: f64| heard.iter().find(|(at, _)| (at - time).abs() < 1e-9).map(|(_, sample)| *sample);
    assert_eq!([0.010, 0.020, 0.029, 0.100, 0.109].map(at), [2.0, 3.0, 3.0, 4.0, 4.0].map(Some));
    assert_eq!((heard.len(), at(0.05)), (30, None));
}

#[test]
fn a_reader_that_stood_still_finds_the_sound_in_its_place_again() {
    let (mut input, mut take) = started();
    take.watch(true);
    let block = [0.5; 4096];
    for n in 0..(2 * SOUND_ROOM / block.len()) as u64 {
        input.sound(&block, n * 4096);
    }
    let mut last = 0.0;
    take.take_in(names, |sound| last = sound.start_s + sound.samples.len() as f64 / RATE);
    assert!(last * RATE <= SOUND_ROOM as f64 + 1.0, "the ring holds no more: {last}");
    input.sound(&block, 1_000_000);
    take.take_in(names, |sound| last = sound.start_s + sound.samples.len() as f64 / RATE);
    assert!((last * RATE - 1_004_096.0).abs() < 1e-6, "{last}");
}

#[test]
fn who_tends_it_leaves_the_sound_to_a_panel_that_keeps_up() {
    let (mut input, mut take) = started();
    take.watch(true);
    input.sound(&[1.0; 10], 0);
    decide(&mut input, 5, &[0], 1.0);
    take.tend(names);
    let mut heard = 0;
    take.take_in(names, |sound| heard += sound.samples.len());
    assert_eq!(heard, 10);
    // A panel that stands still does not lose the decisions.
    for at in 0..10 * MARK_ROOM as u64 {
        decide(&mut input, 10 + at, &[usize::from(at % 2 == 0)], 1.0);
        take.tend(names);
    }
    assert!(take.spans().count() >= 10 * MARK_ROOM - 1);
}

#[test]
fn a_span_can_be_corrected_and_what_is_none_is_gone() {
    let (mut input, mut take) = started();
    for (at, class) in [(0, 0), (100, 1), (200, 0), (300, 3)] {
        decide(&mut input, at, &[class], 0.8);
    }
    take.take_in(names, |_| ());
    take.correct(0, 2);
    take.correct(1, 3);
    take.correct(9, 1);
    assert_eq!(told(&take), [("trill", 0.0, 0.1), ("bowed", 0.2, 0.3)]);
    assert_eq!(take.spans().map(|span| span.corrected).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_recording_has_every_sound_at_its_time_whoever_takes_it_in() {
    let (mut input, mut take) = started();
    take.record(true);
    let ramp = |from: u64| -> Vec<f32> { (from..from + 100).map(|n| n as f32).collect() };
    input.sound(&ramp(100), 100);
    take.tend(names);
    input.sound(&ramp(200), 200);
    take.watch(true);
    take.take_in(names, |_| ());
    // A gap.
    input.sound(&ramp(500), 500);
    take.take_in(names, |_| ());
    let recording = take.recording().unwrap();
    assert_eq!(recording.part(0.15, 0.25), ramp(150));
    assert_eq!(recording.part(0.4, 0.55)[..100], [0.0; 100]);
    assert_eq!(recording.part(0.4, 0.55)[100..], ramp(500)[..50]);
    assert_eq!(recording.part(0.0, 0.1), [0.0; 0], "before it began");
    take.record(false);
    take.record(true);
    assert_eq!(take.recording().unwrap().part(0.1, 0.6), [0.0; 0]);
}

#[test]
fn a_class_of_any_name_becomes_one_folder() {
    let names = ["Ab/Cb", "..", "what?", " bow ", "C:\\x", "con fuoco."].map(super::folder::file_name);
    assert_eq!(names, ["Ab_Cb", "_", "what_", " bow", "C__x", "con fuoco"]);
}

#[test]
fn corrected_spans_become_a_training_folder() {
    let (mut input, mut take) = started();
    take.record(true);
    let tone: Vec<f32> = (0..1000).map(|n| 0.5 * (n as f32 * 0.3).sin()).collect();
    input.sound(&tone, 0);
    for (at, class) in [(0, 3), (100, 0), (400, 1), (700, 3)] {
        decide(&mut input, at, &[class], 0.8);
    }
    take.take_in(names, |_| ());
    take.correct(1, 2);
    let place = std::env::temp_dir().join(format!("tocco-take-{}", std::process::id()));
    let folder = Folder::of(&take, "Étude 1").unwrap();
    assert_eq!(folder.write(&place).unwrap(), 2);
    let second = folder.write(&place).unwrap();
    assert_eq!(second, 2, "another time beside the first");
    for (class, from, length) in [("bowed", 100, 300), ("trill", 400, 300)] {
        let files: Vec<_> = std::fs::read_dir(place.join(class)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        let mut reader = hound::WavReader::open(&files[0]).unwrap();
        assert_eq!(reader.spec().sample_rate, 1000);
        let samples: Vec<f32> = reader.samples().map(|sample| sample.unwrap()).collect();
        assert_eq!(samples, tone[from..from + length]);
    }
    std::fs::remove_dir_all(place).unwrap();
}
