//! CSV files that datasets bring along.

use std::path::Path;

use anyhow::{Context, Result};

use super::Harvest;

/// Reads the named columns of a table with a header. A row that can't be understood is named in `harvest` and left
/// out.
///
/// # Errors
/// The file can't be read, or a column is missing.
pub(super) fn read<const N: usize>(
    path: &Path,
    columns: [&str; N],
    harvest: &mut Harvest,
) -> Result<Vec<(u64, [String; N])>> {
    let at = || path.display();
    let bytes = std::fs::read(path).with_context(|| format!("{}: the table can't be read", at()))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes.as_slice());
    let header = reader.headers().with_context(|| at().to_string())?.clone();
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|h| h.trim_start_matches('\u{feff}') == name)
            .with_context(|| format!("{}: the column «{name}» is missing", at()))?;
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                harvest.skip(path, error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let (has, wants) = (record.len(), header.len());
            harvest.skip(path, format!("line {line}: it has {has} fields, the first line names {wants}"));
            continue;
        }
        let row = places.map(|p| record.get(p).unwrap_or_default().to_owned());
        match columns.iter().zip(&row).find(|(_, cell)| cell.is_empty()) {
            Some((column, _)) => harvest.skip(path, format!("line {line}: «{column}» is empty")),
            None => rows.push((line, row)),
        }
    }
    Ok(rows)
}
