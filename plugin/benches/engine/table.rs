//! The table, and sizes of files.

use std::path::PathBuf;

/// Rows under headings.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a part: its name and the names of its columns.
    pub fn part(&mut self, name: &str, columns: &[&str]) {
        self.rows.push(Vec::new());
        self.row(name, columns);
    }

    /// One row: its name and its values.
    pub fn row<T: ToString>(&mut self, name: &str, values: &[T]) {
        let row: Vec<String> = std::iter::once(name.to_owned()).chain(values.iter().map(ToString::to_string)).collect();
        eprintln!("{}", row.join("  "));
        self.rows.push(row);
    }

    /// The whole, in columns.
    pub fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| self.rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        for row in &self.rows {
            let cells =
                row.iter().zip(&widths).enumerate().map(|(c, (cell, &width))| {
                    if c == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                });
            println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}

/// A value that so many in a hundred of a sorted list do not exceed.
pub fn percentile(sorted: &[f32], share: f64) -> f32 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64).round() as usize).copied().unwrap_or(f32::NAN)
}

/// The bundles that lie beside this build.
pub fn bundles(table: &mut Table) {
    let folder = std::env::var_os("TOCCO_BUNDLED").map_or_else(|| PathBuf::from("target/bundled"), PathBuf::from);
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(&folder).map_or(Vec::new(), |files| files.filter_map(|f| f.ok().map(|f| f.path())).collect());
    entries.sort();
    table.part("size of a bundle", &["MB"]);
    for path in entries {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        table.row(&name, &[format!("{:.1}", bytes(&path) as f64 / 1e6)]);
    }
}

fn bytes(path: &PathBuf) -> u64 {
    if path.is_dir() {
        let files = std::fs::read_dir(path).map_or(Vec::new(), |files| files.filter_map(Result::ok).collect());
        files.iter().map(|file| bytes(&file.path())).sum()
    } else {
        path.metadata().map_or(0, |about| about.len())
    }
}
