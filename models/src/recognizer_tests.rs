#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
use super::*;
use crate::onnx::{encode, with_card};
use crate::test_models::{bytes, card, graph, sine};
use proptest::prelude::*;

/// Everything a decision says, so that comparisons are bit for bit.
type Row = (u64, u64, bool, Vec<u32>, Option<usize>, bool);

fn recognizer(rate: f64) -> Recognizer {
    Recognizer::new(&Model::from_bytes(&bytes()).unwrap(), rate, &Policy { min_confidence: 0.3, ..Policy::default() })
        .unwrap()
}

fn rows(recognizer: &mut Recognizer, sound: &[f32], mut blocks: impl Iterator<Item = usize>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut rest = sound;
    while !rest.is_empty() {
        let (block, later) = rest.split_at(blocks.next().unwrap_or(64).min(rest.len()));
        rest = later;
        let row = |d: &Decision<'_>| {
            let posterior = d.posterior.iter().map(|p| p.to_bits()).collect();
            rows.push((d.known_at, d.about, d.gate_open, posterior, d.class, d.changed));
        };
        recognizer.push(block, row).unwrap();
    }
    rows
}

fn low_then_high(rate: f64) -> Vec<f32> {
    let silence = vec![0.0; (rate * 0.4) as usize];
    [silence.clone(), sine(rate, 200.0, 0.5), sine(rate, 6000.0, 0.5), silence].concat()
}

#[test]
fn it_hears_low_then_high_then_nothing_at_every_rate() {
    for rate in [22_050.0, 24_000.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0] {
        let mut recognizer = recognizer(rate);
        let mut changes = Vec::new();
        let note = |d: &Decision<'_>| {
            if d.changed {
                changes.push((d.about as f64 / rate, recognizer_class(d)));
            }
        };
        recognizer.push(&low_then_high(rate), note).unwrap();
        let names: Vec<&str> = changes.iter().map(|c| c.1).collect();
        assert_eq!(names, ["low", "high", "none"], "at {rate} Hz: {changes:?}");
        for ((about, name), truth) in changes.iter().zip([0.4, 0.9, 1.4]) {
            let late = about - truth;
            // Smoothing of 60 ms, a hop of 20 ms; the gate holds `none` back by its 200 ms.
            let most = if *name == "none" { 0.27 } else { 0.09 };
            assert!((-0.03..most).contains(&late), "{name} is {late:.3} s late at {rate} Hz");
        }
    }
}

/// Both tones are called low where the card says that low is what is met.
#[test]
fn offsets_of_the_card_weigh_in() {
    let offset = Card { offsets: vec![-10.0, 10.0, 0.0], ..card() };
    let bytes = encode(&with_card(graph(), &offset).unwrap());
    let model = Model::from_bytes(&bytes).unwrap();
    let mut recognizer = Recognizer::new(&model, 48_000.0, &Policy::default()).unwrap();
    let mut heard = Vec::new();
    recognizer.push(&low_then_high(48_000.0), |d| heard.extend(d.class)).unwrap();
    assert!(heard.len() > 20 && heard.iter().all(|class| *class == 1 || *class == 2), "{heard:?}");
}

fn recognizer_class(d: &Decision<'_>) -> &'static str {
    ["high", "low", "none"][d.class.unwrap()]
}

#[test]
fn stamps_count_hops_of_the_input() {
    let all = rows(&mut recognizer(24_000.0), &vec![0.0; 4800], std::iter::repeat(1));
    let stamps: Vec<(u64, u64)> = all.iter().map(|r| (r.0, r.1)).collect();
    // 2 frames of 240 samples a hop; half a window of 1024 samples back.
    assert_eq!(stamps[..3], [(480, 0), (960, 448), (1440, 928)]);
}

#[test]
fn it_recovers_from_faults_in_the_input() {
    let mut recognizer = recognizer(48_000.0);
    let faults = [f32::NAN, f32::INFINITY, -f32::INFINITY, 1e30, f32::MIN_POSITIVE / 2.0];
    let bad: Vec<f32> = faults.iter().copied().cycle().take(48_000).collect();
    rows(&mut recognizer, &bad, std::iter::repeat(100));
    let after = rows(&mut recognizer, &sine(48_000.0, 200.0, 0.5), std::iter::repeat(100));
    assert_eq!(after.last().unwrap().4, Some(1));
    assert!(after.iter().all(|r| r.3.iter().all(|&p| f32::from_bits(p).is_finite())));
}

#[test]
fn positions_go_on_over_lost_sound_and_start_again_at_reset() {
    let mut recognizer = recognizer(48_000.0);
    let first = rows(&mut recognizer, &low_then_high(48_000.0), std::iter::repeat(64));
    let pushed = recognizer.position();
    recognizer.skip(1000).unwrap();
    let after = rows(&mut recognizer, &sine(48_000.0, 200.0, 0.2), std::iter::repeat(64));
    assert!(after[0].0 > pushed + 1000);
    recognizer.reset().unwrap();
    assert_eq!(rows(&mut recognizer, &low_then_high(48_000.0), std::iter::repeat(64)), first);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn blocks_do_not_matter(
        sizes in prop::collection::vec(prop_oneof![Just(1usize), 1usize..100, 1usize..9000], 1..40),
        rate in prop_oneof![Just(24_000.0), Just(44_100.0), Just(48_000.0), Just(96_000.0)],
    ) {
        let sound = low_then_high(rate);
        let whole = rows(&mut recognizer(rate), &sound, std::iter::once(sound.len()));
        let cut = rows(&mut recognizer(rate), &sound, sizes.into_iter().cycle());
        prop_assert!(whole.len() > 50);
        prop_assert_eq!(whole, cut);
    }
}
