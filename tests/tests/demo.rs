//! What `cargo xtask demo` shows holds: the shipped model knows bowed from plucked on a phrase it never heard.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use tocco_tests::demo::{play, timeline};
use tocco_tests::locate;
use tocco_tests::phrase::Phrase;

#[test]
fn the_phrase_is_recognised_for_most_of_its_time() {
    let phrase = Phrase::load(&locate::repository().join("tests/demo")).unwrap();
    assert!((phrase.duration_s() - phrase.truth.last().unwrap().end_s).abs() < 0.01);
    let outcome = play(&locate::clap().unwrap(), &phrase, |_| ()).unwrap();
    println!("{}{:?}", timeline(&outcome), outcome.recalls);
    assert_eq!(outcome.recalls.len(), 3, "bowed, plucked and silence");
    assert!(outcome.macro_accuracy() >= 0.85, "{:?}\n{}", outcome.recalls, timeline(&outcome));
    let bare = outcome.datagrams.iter().filter(|d| d.bytes.starts_with(b"/class\0\0,i\0\0")).count();
    assert!(bare > 500, "{bare} messages /class");
}
