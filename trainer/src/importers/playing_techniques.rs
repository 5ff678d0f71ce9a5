//! GFDatabase (flute) and EG-IPT (electric guitar): folders of playing techniques, with folders of microphones, pickups
//! and sessions around them: `EG-IPT/pickups/HB-neck/DI/bend/NAME.wav`.
//!
//! Relied on: the programs of the datasets' authors, which take the innermost folder as the class and point at folders
//! of pickups, and EG-IPT's description (six microphones and lines heard the same takes). The datasets themselves were
//! not at hand: a folder whose name is a microphone's, a pickup's or a session's is never a class; all folders but the
//! class are how it was recorded. The same file name of one class below different ones is one take: it stays together.

use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use regex::Regex;

use super::{Attribute, Harvest, Item, folders_within, recordings, stem, wrong_layout};

/// Words that say how a take was recorded.
static RECORDED: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:hb-(?:neck|bridge|couple)|pickups?|(?:mic|microphone)s?[ -]?\w?\d*|di|amp|line|dpa|sm57|u87)$")
});
static SESSION: LazyLock<Result<Regex, regex::Error>> =
    LazyLock::new(|| Regex::new(r"(?i)^(?:session|day)s?[ -]?\w*$"));

pub(super) fn read(root: &Path, harvest: &mut Harvest) -> Result<()> {
    let recorded = RECORDED.as_ref().context("the pattern of microphones")?;
    let session = SESSION.as_ref().context("the pattern of sessions")?;
    let how = |word: &str| recorded.is_match(word) || session.is_match(word);
    for path in recordings(root)? {
        let folders = folders_within(&path, root);
        let Some(at) = folders.iter().rposition(|f| !how(f)) else {
            harvest.skip(&path, "it lies in no folder of a technique");
            continue;
        };
        let class = folders[at];
        let around = || folders.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, f)| *f);
        let is_how = |word: &&str| how(word) || around().any(|f| f.eq_ignore_ascii_case(word));
        let (said, take): (Vec<&str>, Vec<&str>) = stem(&path).split('_').partition(is_how);
        let sessions: Vec<&str> = around().chain(said.iter().copied()).filter(|w| session.is_match(w)).collect();
        let mut microphones: Vec<&str> = around().filter(|w| !session.is_match(w)).collect();
        for word in said.into_iter().filter(|w| !session.is_match(w)) {
            if !microphones.iter().any(|m| m.eq_ignore_ascii_case(word)) {
                microphones.push(word);
            }
        }
        let mut item = Item::new(path.clone(), class).with(Attribute::Technique, class);
        for (attribute, words) in [(Attribute::Microphone, &microphones), (Attribute::Session, &sessions)] {
            if !words.is_empty() {
                item = item.with(attribute, words.join("/"));
            }
        }
        let take = take.join("_");
        let source: Vec<&str> = [class].into_iter().chain(sessions).chain([take.as_str()]).collect();
        let source = source.join("/");
        harvest.items.push(item.with(Attribute::Source, source));
    }
    if harvest.items.is_empty() {
        return Err(wrong_layout(
            root,
            "playing techniques",
            "recording in a folder of a technique («aeolian/a4.wav»)",
        ));
    }
    Ok(())
}
