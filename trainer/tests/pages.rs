//! The pages that `tocco` writes, in a real browser: they play, follow, and ask no network for anything.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

#[path = "common/browser.rs"]
mod browser;
mod common;

use std::path::{Path, PathBuf};

use browser::{Browser, chromium};
use common::{HIGH_HZ, LOW_HZ, RATE, model, sine, skipped, write_wav};
use serde_json::json;

/// A song of two sections: low for 3 s, silence for 1 s, high for 2 s. Its name is as bad as a name can be.
fn song(folder: &Path) -> PathBuf {
    let rate = 44_100;
    let mut samples = sine(rate, LOW_HZ, 3.0);
    samples.extend(vec![0.0; 44_100]);
    samples.extend(sine(rate, HIGH_HZ, 2.0));
    let path = folder.join("a & b <!-- 'c'.wav");
    write_wav(&path, rate, &[&samples, &samples]);
    path
}

/// The page shows nothing amiss, and everything in it came with it.
fn is_at_peace(browser: &Browser) {
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    let asked = browser.requests.iter().filter(|r| !r.starts_with("file://") && !r.starts_with("data:"));
    assert_eq!(asked.collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(browser.requests.iter().any(|r| r.starts_with("data:")), "the pictures come from the page itself");
}

#[test]
fn a_song_plays_while_what_is_heard_follows() {
    let Some(chromium) = chromium() else { return skipped("chromium is missing: run `cargo xtask setup` first") };
    let root = tempfile::tempdir().unwrap();
    let (model, song, page) = (model(root.path()), song(root.path()), root.path().join("page.html"));
    let answer = tocco!("recognize", "--model", model, "--model", model, "--format", "html", "--out", page, song).ok();
    assert_eq!(answer.out, "");
    assert!(answer.err.contains("a page of ") && answer.err.contains("the recording is 1.4 MB"), "{}", answer.err);

    let mut browser = Browser::open(&chromium, &page);
    browser.wait_for("document.getElementById('sound').readyState >= 2");
    let duration = browser.number("document.getElementById('sound').duration");
    assert!((duration - 6.0).abs() < 0.01, "{duration}");
    assert_eq!(browser.value("document.querySelector('h1').textContent"), json!("a & b <!-- 'c'.wav"));
    assert_eq!(browser.value("document.querySelectorAll('.now .class').length"), json!(2));

    // A click in the first third of the overview, then keys.
    let at = "document.getElementById('overview').getBoundingClientRect()";
    let (left, width) = (browser.number(&format!("{at}.left")), browser.number(&format!("{at}.width")));
    let top = browser.number(&format!("{at}.top")) + 5.0;
    browser.click(left + width / 4.0, top);
    shows(&mut browser, 1.5, "low");
    browser.press("ArrowRight", 39);
    shows(&mut browser, 3.5, "–");
    browser.press("ArrowRight", 39);
    shows(&mut browser, 5.5, "high");
    assert!(light(&mut browser, 0.22) > light(&mut browser, 0.93) + 50.0, "high sound lies at the top");
    let bold = "document.querySelector('#lane-0-0').classList.contains('on')";
    assert_eq!(browser.value(bold), json!(true));
    assert!(browser.number("parseInt(document.querySelector('#lane-0-0 b').textContent)") > 90.0);
    browser.press("ArrowLeft", 37);
    browser.press("ArrowLeft", 37);
    shows(&mut browser, 1.5, "low");

    // Just before the present, the spectrogram is bright where the sound is: low at 1.5 s.
    assert!(light(&mut browser, 0.93) > light(&mut browser, 0.22) + 50.0, "low sound lies at the bottom");

    browser.press("Home", 36);
    browser.press(" ", 32);
    browser.wait_for("document.getElementById('sound').currentTime > 0.4");
    let cursor = browser.number("parseFloat(document.getElementById('cursor').style.left)");
    assert!(cursor > 2.0, "the cursor moves with the sound: {cursor} %");
    browser.press(" ", 32);
    browser.wait_for("document.getElementById('sound').paused");
    is_at_peace(&browser);
}

/// After seeking: time, cursor and the class that is told.
fn shows(browser: &mut Browser, seconds: f64, class: &str) {
    browser.wait_for("!document.getElementById('sound').seeking");
    let time = browser.number("document.getElementById('sound').currentTime");
    assert!((time - seconds).abs() < 0.05, "{time} s instead of {seconds} s");
    let cursor = browser.number("parseFloat(document.getElementById('cursor').style.left)");
    assert!((cursor - 100.0 * time / 6.0).abs() < 0.5, "the cursor stands at {cursor} %");
    for id in 0..2 {
        let told = browser.value(&format!("document.getElementById('now-{id}').textContent"));
        assert_eq!(told, json!(class), "at {seconds} s");
    }
}

/// The sum of the colours of a pixel of the spectrogram just before the present, at a share of its height.
fn light(browser: &mut Browser, height: f64) -> f64 {
    browser.number(&format!(
        "(() => {{ const view = document.getElementById('view'); const dense = view.width / view.clientWidth; \
         return view.getContext('2d').getImageData(0.59 * view.width, {height} * 200 * dense, 1, 1).data\
         .slice(0, 3).reduce((a, b) => a + b, 0); }})()"
    ))
}

/// Three recordings, of which the model gets one wrong: it lies 2 s into a longer one.
fn judged(folder: &Path) -> PathBuf {
    let mut rows = String::from("path,labels,group,split,duration_s,sample_rate,collection,licence\n");
    let mut late = sine(RATE, HIGH_HZ, 2.0);
    late.extend(sine(RATE, LOW_HZ, 5.0));
    let sounds = [("high", sine(RATE, HIGH_HZ, 1.0)), ("low", sine(RATE, LOW_HZ, 1.0)), ("wrong", late)];
    for (name, samples) in sounds {
        write_wav(&folder.join(format!("notes/{name}.wav")), RATE, &[&samples]);
        let label = if name == "low" { "low" } else { "high" };
        rows += &format!("notes/{name}.wav,{label},{name},test,{},{RATE},,\n", samples.len() as f32 / RATE as f32);
    }
    let path = folder.join("manifest.csv");
    std::fs::write(&path, rows).unwrap();
    path
}

#[test]
fn a_report_shows_the_mistake_and_plays_it() {
    let Some(chromium) = chromium() else { return skipped("chromium is missing: run `cargo xtask setup` first") };
    let root = tempfile::tempdir().unwrap();
    let (model, manifest, page) = (model(root.path()), judged(root.path()), root.path().join("report.html"));
    tocco!("report", "--model", model, "--manifest", manifest, "--out", page).ok();

    let mut browser = Browser::open(&chromium, &page);
    let text = browser.value("document.body.innerText").as_str().unwrap().to_owned();
    for words in ["high or low", "macro-F1", "3 recordings of manifest.csv, split test", "notes/wrong.wav"] {
        assert!(text.contains(words), "{words} is missing: {text}");
    }
    assert!(!text.contains(root.path().to_str().unwrap()), "where the recordings lie is nobody's business");
    assert_eq!(browser.value("document.querySelectorAll('.mistakes figure').length"), json!(1));
    assert_eq!(browser.value("document.querySelector('.mistakes b.bad').textContent"), json!("low"));
    assert_eq!(browser.value("document.querySelectorAll('.reliability svg').length"), json!(1));
    let row = "[...document.querySelectorAll('.classes tr')].map(r => r.innerText).find(r => r.startsWith('low'))";
    let row = browser.value(row).as_str().unwrap_or_default().to_owned();
    assert!(row.contains("1.000") && row.contains("0.500"), "one of one is found, one of two is right: {row}");
    browser.wait_for("document.querySelector('.mistakes audio').readyState >= 1");
    let length = browser.number("document.querySelector('.mistakes audio').duration");
    assert!((length - 3.0).abs() < 0.01, "{length}");
    browser.value("document.querySelector('.mistakes audio').play()");
    browser.wait_for("parseFloat(document.querySelector('.mistakes .head').style.left) > 3");

    // The mouse over the field of the mistake: the first row, the second column.
    let field = "document.querySelectorAll('.confusion tr')[1].querySelectorAll('td')[1]";
    browser.value(&format!("{field}.dispatchEvent(new MouseEvent('mouseenter'))"));
    let words = browser.value("document.getElementById('readout').textContent");
    assert_eq!(words, json!("high was taken for low: 1 of 2 (50.0 %)"));
    is_at_peace(&browser);

    tocco!("report", "--model", model, "--manifest", manifest, "--out", page, "--no-audio").ok();
    let silent = std::fs::read_to_string(&page).unwrap();
    assert!(!silent.contains("<audio") && !silent.contains("data:audio"));
    assert!(silent.contains("class=\"passage\"") && silent.contains("left out"));
}

#[test]
fn a_page_is_one_song_and_a_report_needs_recordings() {
    let root = tempfile::tempdir().unwrap();
    let (model, song, page) = (model(root.path()), song(root.path()), root.path().join("page.html"));
    let words = tocco!("recognize", "--model", model, "--format", "html", song, song).refusal();
    assert!(words.contains("one recording"), "{words}");
    let words = tocco!("recognize", "--model", model, "--model", model, song).refusal();
    assert!(words.contains("--format html"), "{words}");
    let words = tocco!("recognize", "--model", model, "--out", page, song).refusal();
    assert!(words.contains("--out belongs to --format html"), "{words}");

    let manifest = judged(root.path());
    let words = tocco!("report", "--model", model, "--manifest", manifest, "--split", "val", "--out", page).refusal();
    assert!(words.contains("manifest.csv: the split «val» holds no recording"), "{words}");
    assert!(!page.exists());
    let words = tocco!("report", "--run", root.path(), "--manifest", manifest, "--out", page).refusal();
    assert!(words.contains("no folder that «tocco train» made"), "{words}");
}

/// Without a file to write to, the page is the result.
#[test]
fn a_page_may_go_to_standard_output() {
    let root = tempfile::tempdir().unwrap();
    let (model, song) = (model(root.path()), song(root.path()));
    let answer = tocco!("recognize", "--model", model, "--format", "html", song).ok();
    assert!(answer.out.starts_with("<!doctype html>") && answer.out.ends_with("</html>\n"));
    assert!(answer.out.contains("src=\"data:audio/wav;base64,UklGR"), "the recording goes in as it is");
    let outside = ["http://", "https://", "//cdn"].iter().find(|address| answer.out.contains(**address));
    assert_eq!(outside, None);
}
