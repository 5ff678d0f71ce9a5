//! One page about a model: how it was trained, how good it is, where it is wrong and how that sounds.

mod chart;
mod figures;
mod mistakes;

use std::fmt::Write as _;

use anyhow::Result;

use crate::evaluation::{self, Listened, Wanted};
use crate::listen::Ear;
use crate::page;
use crate::watch::history::Row;

/// Draws for the intervals, and their seed.
const DRAWS: (u32, u64) = (1000, 0);

/// What the page is about.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The model.
    pub ear: &'a Ear,
    /// The recordings that judge it.
    pub wanted: &'a [Wanted],
    /// Where they come from, in words.
    pub source: String,
    /// The curves of its training; empty where they are not known.
    pub history: Vec<Row>,
    /// What was chosen for its training, by name; empty where that is not known.
    pub settings: Vec<(String, String)>,
    /// How many mistakes are shown.
    pub mistakes: usize,
    /// Whether they can be heard: a page that goes into a repository holds no recordings.
    pub audio: bool,
    /// Level from which the noise gate opens, in dBFS.
    pub gate_dbfs: f32,
}

/// The page as HTML.
///
/// # Errors
/// No recording can be used.
pub fn html(subject: &Subject<'_>) -> Result<String> {
    let card = subject.ear.model.card();
    let Listened { predictions, hops, skipped } = evaluation::predict(subject.ear, subject.wanted, subject.gate_dbfs)?;
    let names = (card.name.clone(), subject.source.clone());
    let found = evaluation::Report::new(names, &predictions, Some(&hops), DRAWS);
    let mut body = String::from("<main>\n");
    let (title, source) = (page::escape(&card.name), page::escape(&subject.source));
    let recordings = predictions.rows.len();
    write!(
        body,
        "<h1>{title}</h1>\n<p class=\"soft\">Judged by {recordings} recordings of {source}. Intervals hold in 95 of 100 \
         cases ({} draws of {} groups of recordings that belong together).",
        found.bootstrap.resamples, found.bootstrap.groups
    )?;
    if skipped > 0 {
        write!(body, " {skipped} recordings could not be used.")?;
    }
    body.push_str("</p>\n");
    figures::headline(&mut body, &found)?;
    chart::curves(&mut body, &subject.history)?;
    if let Some((files, _)) = predictions.confusions() {
        figures::confusion(&mut body, &files)?;
    }
    figures::classes(&mut body, &found, card)?;
    if let Some(calibration) = &found.calibration_frames {
        chart::reliability(&mut body, calibration)?;
    }
    mistakes::section(&mut body, subject, &predictions)?;
    settings(&mut body, subject)?;
    body.push_str("</main>");
    let (style, script) = (include_str!("report/report.css"), include_str!("report/report.js"));
    Ok(page::document(&card.name, style, &body, script))
}

/// What the model is, what was chosen, and what it was trained on.
fn settings(body: &mut String, subject: &Subject<'_>) -> Result<()> {
    let card = subject.ear.model.card();
    let rate = f64::from(card.sample_rate);
    let facts = [
        ("decides every", format!("{:.1} ms", 1e3 * card.hop() as f64 / rate)),
        ("sample rate", format!("{} Hz", card.sample_rate)),
        ("classes", card.classes.join(", ")),
        ("temperature", format!("{:.3}", card.temperature)),
        ("licence of the weights", card.licence.clone()),
    ];
    body.push_str("<h2>Settings</h2>\n<div class=\"settings\">\n");
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    for table in [&facts[..], &subject.settings] {
        body.push_str("<table>");
        for (name, value) in table.iter().filter(|(_, value)| !value.is_empty()) {
            write!(body, "<tr><td>{}</td><td>{}</td></tr>", page::escape(name), page::escape(value))?;
        }
        body.push_str("</table>\n");
    }
    body.push_str("</div>\n<h2>Trained on</h2>\n");
    if card.data.is_empty() {
        body.push_str("<p class=\"soft\">The card does not say.</p>\n");
        return Ok(());
    }
    body.push_str("<table><tr><th>source</th><th>licence</th></tr>");
    for source in &card.data {
        let licence = if source.licence.is_empty() { "not told" } else { &source.licence };
        write!(body, "<tr><td>{}</td><td>{}</td></tr>", page::escape(&source.name), page::escape(licence))?;
    }
    body.push_str("</table>\n");
    Ok(())
}
