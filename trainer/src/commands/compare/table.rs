//! The comparison as a table for people, as CSV, JSON or Markdown.

use anyhow::{Context, Result};

use super::{Column, Comparison};
use crate::metrics::Interval;

/// How the table is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A column a model, for people.
    Text,
    /// A row a model; intervals as three columns each.
    Csv,
    /// One object.
    Json,
    /// A table for a README.
    Markdown,
}

/// The comparison in a format, ending in a line feed.
pub(super) fn print(comparison: &Comparison, format: Format) -> Result<String> {
    Ok(match format {
        Format::Text => format!("{}\n{}", about(comparison), text(&cells(comparison))),
        Format::Markdown => format!("{}\n{}", markdown(&cells(comparison)), about(comparison)),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(comparison)?),
        Format::Csv => csv(comparison)?,
    })
}

/// What the figures are about.
fn about(c: &Comparison) -> String {
    let left_out = match (c.left_out, c.skipped) {
        (0, 0) => String::new(),
        (other, skipped) => format!("; left out: {other} of other classes, {skipped} that can't be used"),
    };
    format!(
        "{}: {} recordings of {} classes{left_out}. {}. 95 % intervals: {} draws of {} groups of recordings, seed {}; \
         differences are paired.\n",
        c.source,
        c.recordings,
        c.classes.len(),
        if c.one_class_each { "The most probable class counts" } else { "Each card's thresholds decide" },
        c.resamples,
        c.groups,
        c.seed
    )
}

/// Rows of the table, each a name and a cell a model.
fn cells(comparison: &Comparison) -> Vec<(String, Vec<String>)> {
    let each = |of: &dyn Fn(&Column) -> String| comparison.models.iter().map(of).collect::<Vec<_>>();
    let optional = |interval: Option<Interval>| interval.map_or_else(|| "-".to_owned(), |i| i.to_string());
    let ms = |s: f64| format!("{:.1}", 1e3 * s);
    let right = if comparison.one_class_each { "accuracy" } else { "exact match" };
    let rows: [(&str, Vec<String>); 13] = [
        ("", each(&|m| m.name.clone())),
        ("file", each(&|m| m.file.clone())),
        (right, each(&|m| m.accuracy.to_string())),
        ("macro-F1", each(&|m| m.macro_f1.to_string())),
        ("macro-recall", each(&|m| m.macro_recall.to_string())),
        ("mAP", each(&|m| optional(m.mean_average_precision))),
        ("macro-F1 less the first's", each(&|m| optional(m.macro_f1_difference))),
        ("hop, ms", each(&|m| format!("{:.1}", m.cost.hop_ms))),
        ("cost in tract, µs a hop (network)", each(&|m| format!("{:.1} ({:.1})", m.cost.chain_us, m.cost.network_us))),
        (
            "cost in ONNX Runtime, µs a hop",
            each(&|m| m.cost.chain_ort_us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1}"))),
        ),
        ("share of one core", each(&|m| format!("{:.2} %", 100.0 * m.cost.load))),
        (
            "latency, ms",
            each(&|m| {
                let terms = m.latency_terms_s.iter().filter(|(_, s)| **s > 0.0);
                let terms: Vec<String> = terms.map(|(name, s)| format!("{name} {}", ms(*s))).collect();
                format!("{} ({})", ms(m.latency_s), terms.join(", "))
            }),
        ),
        ("size, bytes (parameters)", each(&|m| format!("{} ({})", m.bytes, m.parameters))),
    ];
    rows.into_iter().map(|(name, cells)| (name.to_owned(), cells)).collect()
}

fn text(rows: &[(String, Vec<String>)]) -> String {
    let length = |text: &String| text.chars().count();
    let first = rows.iter().map(|(name, _)| length(name)).max().unwrap_or(0);
    let width = |column: usize| rows.iter().map(|(_, cells)| length(&cells[column])).max().unwrap_or(0);
    let mut text = String::new();
    for (name, cells) in rows {
        text.push_str(&format!("{name:first$}"));
        for (column, cell) in cells.iter().enumerate() {
            text.push_str(&format!("  {cell:width$}", width = width(column)));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn markdown(rows: &[(String, Vec<String>)]) -> String {
    let escaped = |cell: &String| cell.replace('|', "\\|");
    let mut lines: Vec<String> = Vec::new();
    for (i, (name, cells)) in rows.iter().enumerate() {
        lines.push(format!("| {name} | {} |\n", cells.iter().map(escaped).collect::<Vec<_>>().join(" | ")));
        if i == 0 {
            lines.push(format!("|---|{}\n", "---|".repeat(cells.len())));
        }
    }
    lines.concat()
}

fn csv(comparison: &Comparison) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = ["file", "name", "recordings"].map(str::to_owned).to_vec();
    for figure in ["accuracy", "macro_f1", "macro_recall", "mean_average_precision", "macro_f1_difference"] {
        header.extend(["", "_low", "_high"].map(|end| format!("{figure}{end}")));
    }
    let rest = ["hop_ms", "network_us", "chain_us", "chain_ort_us", "load", "latency_s", "bytes", "parameters"];
    header.extend(rest.map(str::to_owned));
    writer.write_record(&header)?;
    for m in &comparison.models {
        let mut cells = vec![m.file.clone(), m.name.clone(), comparison.recordings.to_string()];
        let always = [m.accuracy, m.macro_f1, m.macro_recall].map(Some);
        for interval in always.into_iter().chain([m.mean_average_precision, m.macro_f1_difference]) {
            let three = interval.map(|i| [i.value, i.low, i.high].map(|v| format!("{v:.6}")));
            cells.extend(three.unwrap_or_default());
        }
        let us = |us: f64| format!("{us:.2}");
        cells.extend([
            m.cost.hop_ms.to_string(),
            us(m.cost.network_us),
            us(m.cost.chain_us),
            m.cost.chain_ort_us.map(us).unwrap_or_default(),
            format!("{:.6}", m.cost.load),
            format!("{:.6}", m.latency_s),
            m.bytes.to_string(),
            m.parameters.to_string(),
        ]);
        writer.write_record(&cells)?;
    }
    let bytes = writer.into_inner().context("the table can't be put together")?;
    Ok(String::from_utf8(bytes)?)
}
