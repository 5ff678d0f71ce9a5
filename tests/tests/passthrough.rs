//! The plugin in a host: sound passes untouched, whatever the host does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

use tocco_tests::host::Host;
use tocco_tests::state::State;
use tocco_tests::{locate, sounds, synthetic};

const BLOCKS: [usize; 5] = [1, 17, 64, 512, 8192];
const RATES: [f64; 6] = [22_050.0, 44_100.0, 48_000.0, 88_200.0, 96_000.0, 192_000.0];

fn bits(sound: &[Vec<f32>]) -> Vec<Vec<u32>> {
    sound.iter().map(|channel| channel.iter().map(|s| s.to_bits()).collect()).collect()
}

/// A host with the synthetic model, and the folder that holds it.
fn host() -> (Host, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("high_low.onnx");
    std::fs::write(&model, synthetic::model().unwrap()).unwrap();
    let mut host = Host::load(&locate::clap().unwrap()).unwrap();
    host.restore(&State::empty().with_model(&model).with_parameter("osc_on", serde_json::json!({"bool": false})))
        .unwrap();
    (host, folder)
}

#[test]
fn sound_is_bit_exact_at_every_block_size_and_rate() {
    let (mut host, _folder) = host();
    for channels in [2, 1] {
        host.select_channels(channels).unwrap();
        for rate in RATES {
            for block in BLOCKS {
                // Numbers of every kind, and a real sound behind them: the recognizer has something to do.
                let mut sound: Vec<Vec<f32>> =
                    (0..channels).map(|channel| sounds::any_bits(3000, 77 + channel)).collect();
                for channel in &mut sound {
                    channel.extend(sounds::render(&sounds::LOW_AND_HIGH[1..2], rate).iter().take(9000));
                }
                let mut processor = host.activate(rate, block as u32).unwrap();
                assert_eq!(host.latency(), 0, "latency at {rate} Hz");
                let (heard, _) = processor.run(&sound, block).unwrap();
                host.deactivate(processor);
                assert!(bits(&heard) == bits(&sound), "{channels} channels, {rate} Hz, blocks of {block}");
            }
        }
    }
}

#[test]
fn blocks_of_changing_length_and_a_reset_in_between_change_nothing() {
    let (mut host, _folder) = host();
    let mut processor = host.activate(44_100.0, 512).unwrap();
    let mut output = vec![vec![0.0; 512]; 2];
    for (round, length) in [512, 1, 300, 0, 64, 511, 2].into_iter().cycle().take(200).enumerate() {
        let sound = sounds::any_bits(length, round as u32 + 1);
        if round == 100 {
            processor.reset();
        }
        processor.process(&[&sound, &sound], &mut output, &[]).unwrap();
        for channel in &output {
            assert!(bits(&[channel[..length].to_vec()]) == bits(std::slice::from_ref(&sound)), "block {round}");
        }
    }
    host.deactivate(processor);
}

#[test]
fn a_missing_model_leaves_the_sound_and_the_settings_alone() {
    let mut host = Host::load(&locate::clap().unwrap()).unwrap();
    let gone = std::env::temp_dir().join("tocco-no-such-model.onnx");
    host.restore(&State::empty().with_model(&gone).with_setting("name", "Cello".into())).unwrap();
    let sound = vec![sounds::render(&sounds::LOW_AND_HIGH, 48_000.0); 2];
    let mut processor = host.activate(48_000.0, 512).unwrap();
    let (heard, _) = processor.run(&sound, 512).unwrap();
    host.deactivate(processor);
    assert!(bits(&heard) == bits(&sound));
    let settings = host.save().unwrap().settings();
    assert_eq!(settings["model"]["path"], gone.to_str().unwrap());
    assert_eq!(settings["name"], "Cello");
}

#[test]
fn instances_come_and_go_while_others_play() {
    let (mut staying, _folder) = host();
    let sound = vec![sounds::render(&sounds::LOW_AND_HIGH, 48_000.0); 2];
    let mut processor = staying.activate(48_000.0, 256).unwrap();
    for _ in 0..8 {
        let (mut passing, _folder) = host();
        let mut other = passing.activate(44_100.0, 64).unwrap();
        let (heard, _) = other.run(&sound, 64).unwrap();
        assert!(bits(&heard) == bits(&sound));
        passing.deactivate(other);
        drop(passing);
        let (heard, _) = processor.run(&sound, 256).unwrap();
        assert!(bits(&heard) == bits(&sound));
    }
    staying.deactivate(processor);
}
