//! One class at a time: confusion matrix, accuracy, precision, recall, F1.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use serde::Serialize;

/// Counts of what was there (rows) against what was predicted (columns).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: Vec<String>,
    /// `[true class][predicted class]`, row by row.
    counts: Vec<u64>,
}

/// Figures of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Its name.
    pub class: String,
    /// How many there were.
    pub support: u64,
    /// Of those predicted, the share that was right.
    pub precision: f64,
    /// Of those that were there, the share that was predicted.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// Figures of a whole evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// How many decisions were counted.
    pub count: u64,
    /// Share that was right. With one class at a time it is micro precision, recall and F1 as well.
    pub accuracy: f64,
    /// Mean precision of the classes.
    pub macro_precision: f64,
    /// Mean recall of the classes.
    pub macro_recall: f64,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// Class by class, in the model's order.
    pub classes: Vec<ClassFigures>,
}

impl Confusion {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(classes: &[String]) -> Self {
        Self { classes: classes.to_vec(), counts: vec![0; classes.len() * classes.len()] }
    }

    /// Counts `n` decisions for `predicted` where `truth` was.
    pub fn add(&mut self, truth: usize, predicted: usize, n: u64) {
        self.counts[truth * self.classes.len() + predicted] += n;
    }

    /// How often `predicted` was decided where `truth` was.
    #[must_use]
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes.len() + predicted]
    }

    /// The class names, in the order of rows and columns.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    fn row_sum(&self, truth: usize) -> u64 {
        (0..self.classes.len()).map(|p| self.count(truth, p)).sum()
    }

    fn column_sum(&self, predicted: usize) -> u64 {
        (0..self.classes.len()).map(|t| self.count(t, predicted)).sum()
    }

    /// All figures. Where nothing was counted they are 0.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let ratio = |part: u64, whole: u64| super::ratio(part as f64, whole as f64);
        let of_class = |c: usize| {
            let (precision, recall) =
                (ratio(self.count(c, c), self.column_sum(c)), ratio(self.count(c, c), self.row_sum(c)));
            let f1 = super::harmonic(precision, recall);
            ClassFigures { class: self.classes[c].clone(), support: self.row_sum(c), precision, recall, f1 }
        };
        let classes: Vec<ClassFigures> = (0..self.classes.len()).map(of_class).collect();
        let present = classes.iter().filter(|c| c.support > 0).count().max(1) as f64;
        let mean = |value: fn(&ClassFigures) -> f64| {
            classes.iter().filter(|c| c.support > 0).map(value).sum::<f64>() / present
        };
        let count: u64 = self.counts.iter().sum();
        let right: u64 = (0..self.classes.len()).map(|c| self.count(c, c)).sum();
        Figures {
            count,
            accuracy: ratio(right, count),
            macro_precision: mean(|c| c.precision),
            macro_recall: mean(|c| c.recall),
            macro_f1: mean(|c| c.f1),
            classes,
        }
    }

    /// The matrix as CSV: a row for each true class, a column for each predicted one.
    ///
    /// # Errors
    /// Never in practice: the table is written to memory.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(std::iter::once("true \\ predicted").chain(self.classes.iter().map(String::as_str)))?;
        for (t, class) in self.classes.iter().enumerate() {
            let counts = (0..self.classes.len()).map(|p| self.count(t, p).to_string());
            writer.write_record(std::iter::once(class.clone()).chain(counts))?;
        }
        writer.into_inner().map_err(|e| anyhow!("the confusion matrix can't be put together: {e}"))
    }

    /// The matrix as a picture: the darker a field, the larger its share of the row; the count stands in it.
    ///
    /// # Errors
    /// The drawing library refuses.
    pub fn to_svg(&self, title: &str) -> Result<String> {
        use plotters::prelude::*;
        use plotters::style::text_anchor::{HPos, Pos, VPos};
        const FIELD: i32 = 42;
        let n = i32::try_from(self.classes.len())?;
        let longest = i32::try_from(self.classes.iter().map(|c| c.chars().count()).max().unwrap_or(0))?;
        let margin = 8 * longest + 40;
        let (width, height) = (margin + n * FIELD + 20, margin + n * FIELD + 60);
        let mut svg = String::new();
        let size = (u32::try_from(width)?, u32::try_from(height)?);
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let bad = |e| anyhow!("the confusion matrix can't be drawn: {e}");
            area.fill(&WHITE).map_err(bad)?;
            let font = ("sans-serif", 16).into_font();
            let style = |h, v| TextStyle::from(font.clone()).pos(Pos::new(h, v));
            area.draw_text(title, &style(HPos::Left, VPos::Center), (10, 16)).map_err(bad)?;
            area.draw_text("predicted →", &style(HPos::Left, VPos::Center), (margin, 38)).map_err(bad)?;
            area.draw_text("true ↓", &style(HPos::Right, VPos::Center), (margin - 8, margin + 22)).map_err(bad)?;
            for (t, class) in (0..n).zip(&self.classes) {
                let y = margin + 30 + t * FIELD;
                area.draw_text(class, &style(HPos::Right, VPos::Center), (margin - 8, y + FIELD / 2)).map_err(bad)?;
                let turned = TextStyle::from(font.clone().transform(FontTransform::Rotate270))
                    .pos(Pos::new(HPos::Left, VPos::Center));
                area.draw_text(class, &turned, (margin + t * FIELD + FIELD / 2, margin + 24)).map_err(bad)?;
                let (row, whole) = (usize::try_from(t)?, self.row_sum(usize::try_from(t)?).max(1));
                for p in 0..n {
                    let count = self.count(row, usize::try_from(p)?);
                    let share = count as f64 / whole as f64;
                    let x = margin + p * FIELD;
                    let colour = HSLColor(0.58, 0.6, 0.98 - 0.55 * share);
                    let field = [(x, y), (x + FIELD - 1, y + FIELD - 1)];
                    area.draw(&Rectangle::new(field, colour.filled())).map_err(bad)?;
                    if count > 0 {
                        let ink = if share > 0.6 { &WHITE } else { &BLACK };
                        let style = style(HPos::Center, VPos::Center).color(ink);
                        let middle = (x + FIELD / 2, y + FIELD / 2);
                        area.draw_text(&count.to_string(), &style, middle).map_err(bad)?;
                    }
                }
            }
            area.present().map_err(bad)?;
        }
        Ok(svg)
    }
}

impl Figures {
    /// The figures as lines for a terminal.
    #[must_use]
    pub fn table(&self, name: &str, unit: &str) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{name:24} {:>9} accuracy {:.4}  macro-recall {:.4}  macro-precision {:.4}  macro-F1 {:.4}",
            format!("{} {unit}", self.count),
            self.accuracy,
            self.macro_recall,
            self.macro_precision,
            self.macro_f1
        );
        text + &class_lines(&self.classes)
    }
}

/// The classes that occur or were heard, a line each.
pub(super) fn class_lines(classes: &[ClassFigures]) -> String {
    let mut text = String::new();
    for c in classes.iter().filter(|c| c.support > 0 || c.precision > 0.0) {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "  {:22} {:>9}  recall {:.4}  precision {:.4}  F1 {:.4}",
            c.class, c.support, c.recall, c.precision, c.f1
        );
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn example() -> Confusion {
        let names: Vec<String> = ["bowed", "plucked", "none", "tapped"].map(String::from).to_vec();
        let mut c = Confusion::new(&names);
        c.add(0, 0, 8);
        c.add(0, 1, 2);
        c.add(1, 1, 5);
        c.add(2, 0, 1);
        c.add(2, 2, 3);
        c
    }

    /// By hand: recalls 0.8, 1, 0.75; precisions 8/9, 5/7, 1; `tapped` does not occur and weighs nothing.
    #[test]
    fn figures_by_hand() {
        let f = example().figures();
        assert_eq!(f.count, 19);
        assert!((f.accuracy - 16.0 / 19.0).abs() < 1e-12);
        assert!((f.macro_recall - (0.8 + 1.0 + 0.75) / 3.0).abs() < 1e-12);
        assert!((f.macro_precision - (8.0 / 9.0 + 5.0 / 7.0 + 1.0) / 3.0).abs() < 1e-12);
        let f1 = [16.0 / 19.0, 10.0 / 12.0, 6.0 / 7.0];
        assert!((f.macro_f1 - f1.iter().sum::<f64>() / 3.0).abs() < 1e-12);
        assert_eq!(f.classes[3].support, 0);
    }

    #[test]
    fn nothing_counted_is_no_division_by_zero() {
        let f = Confusion::new(&["a".to_owned()]).figures();
        assert_eq!((f.accuracy, f.macro_f1), (0.0, 0.0));
    }

    #[test]
    fn the_matrix_is_written_row_by_row() {
        let csv = String::from_utf8(example().to_csv().unwrap()).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "true \\ predicted,bowed,plucked,none,tapped");
        assert_eq!(lines[1], "bowed,8,2,0,0");
        assert_eq!(lines[3], "none,1,0,3,0");
        let svg = example().to_svg("test").unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("plucked") && svg.trim_end().ends_with("</svg>"));
    }
}
