//! The figures: headline, confusion matrix, class by class.

use std::fmt::Write as _;

use anyhow::Result;
use tocco_models::{Card, Task};

use crate::evaluation::Report;
use crate::metrics::{ClassFigures, Confusion, Interval};
use crate::page::escape;

/// The figures that come first, in this order, as people call them.
const NAMES: [(&str, &str); 5] = [
    ("macro_f1", "macro-F1"),
    ("macro_recall", "macro-recall"),
    ("accuracy", "accuracy"),
    ("exact_match", "exact match"),
    ("mean_average_precision", "mean average precision"),
];

/// A card for each figure, with its interval as a bar.
pub(super) fn headline(body: &mut String, found: &Report) -> Result<()> {
    body.push_str("<div class=\"headline\">\n");
    // Where any number of classes may sound, what the card's thresholds decide is what counts.
    let card = found.thresholds.first().map(|at| &at.intervals);
    for (key, name) in NAMES {
        let interval = match card {
            Some(card) => card.get(key).or_else(|| found.intervals.get(key).filter(|_| key.starts_with("mean"))),
            None => found.intervals.get(key),
        };
        let Some(Interval { value, low, high }) = interval else { continue };
        let (left, wide) = (100.0 * low, (100.0 * (high - low)).max(0.5));
        writeln!(
            body,
            "<div class=\"card\"><div class=\"soft\">{name}</div><div class=\"big\">{value:.3}</div>\
             <div class=\"range\"><i style=\"left:{left:.1}%;width:{wide:.1}%\"></i><b style=\"left:{:.1}%\"></b></div>\
             <div class=\"soft\">{low:.3} to {high:.3}</div></div>",
            100.0 * value
        )?;
    }
    if let Some(calibration) = &found.calibration_frames {
        writeln!(
            body,
            "<div class=\"card\"><div class=\"soft\">calibration error</div><div class=\"big\">{:.3}</div>\
             <div class=\"soft\">of the hops; 0 is best</div></div>",
            calibration.expected_calibration_error
        )?;
    }
    body.push_str("</div>\n");
    Ok(())
}

/// Rows are what was there, columns what the recordings were taken for.
pub(super) fn confusion(body: &mut String, confusion: &Confusion) -> Result<()> {
    let classes = confusion.classes();
    let n = classes.len();
    body.push_str(
        "<h2>What was taken for what</h2>\n<p class=\"soft\">A row for each true class, a column for each that was \
         answered; counts of recordings, darker for a larger share of the row.</p>\n\
         <div class=\"wide\"><table class=\"confusion\"><tr><td></td>",
    );
    for class in classes {
        write!(body, "<th class=\"up\"><span>{}</span></th>", escape(class))?;
    }
    body.push_str("</tr>\n");
    for t in 0..n {
        let whole: u64 = (0..n).map(|p| confusion.count(t, p)).sum();
        write!(body, "<tr><th>{}</th>", escape(&classes[t]))?;
        for p in 0..n {
            let count = confusion.count(t, p);
            let share = count as f64 / whole.max(1) as f64;
            let words = format!(
                "{} was taken for {}: {count} of {whole} ({:.1} %)",
                escape(&classes[t]),
                escape(&classes[p]),
                100.0 * share
            );
            let kind = if t == p { "right" } else { "wrong" };
            let ink = if share > 0.5 { " deep" } else { "" };
            let shown = if count > 0 { count.to_string() } else { String::new() };
            write!(body, "<td class=\"{kind}{ink}\" style=\"--share:{share:.3}\" title=\"{words}\">{shown}</td>")?;
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</table></div>\n<p class=\"soft\" id=\"readout\" aria-live=\"polite\">&nbsp;</p>\n");
    Ok(())
}

/// Support, precision, recall, F1 and threshold of each class.
pub(super) fn classes(body: &mut String, found: &Report, card: &Card) -> Result<()> {
    let rows: &[ClassFigures] = match (found.thresholds.first(), &found.files) {
        (Some(at_card), _) => &at_card.figures.classes,
        (None, Some(files)) => &files.classes,
        (None, None) => return Ok(()),
    };
    body.push_str(
        "<h2>Class by class</h2>\n<div class=\"wide\"><table class=\"classes\"><tr><th>class</th><th>recordings</th>\
         <th>precision</th><th>recall</th><th>F1</th><th>threshold</th></tr>\n",
    );
    for row in rows {
        let index = card.classes.iter().position(|c| *c == row.class);
        let threshold = match (card.task, index) {
            (Task::Instruments, Some(index)) => format!("{:.2}", card.threshold(index)),
            _ => "most probable".to_owned(),
        };
        write!(body, "<tr><td>{}</td><td>{}</td>", escape(&row.class), row.support)?;
        for value in [row.precision, row.recall, row.f1] {
            write!(body, "<td class=\"meter\" style=\"--share:{value:.3}\">{value:.3}</td>")?;
        }
        writeln!(body, "<td class=\"soft\">{threshold}</td></tr>")?;
    }
    body.push_str("</table></div>\n");
    Ok(())
}
