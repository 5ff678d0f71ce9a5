//! Settings as a person reads them.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// Settings one by one, those inside others named `outer.inner`.
///
/// # Errors
/// Never in practice: the settings are written to memory.
pub fn flat(settings: &impl Serialize) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    // By way of text: a number of 32 bits stays as short as it was written.
    add(&mut all, "", &serde_json::from_str(&serde_json::to_string(settings)?)?);
    Ok(all)
}

/// The same as a table in Markdown.
///
/// # Errors
/// As [`flat`].
pub fn markdown(settings: &impl Serialize) -> Result<String> {
    let rows = flat(settings)?.into_iter().map(|(name, value)| format!("| {name} | {value} |\n"));
    Ok(format!("| setting | value |\n|---|---|\n{}", rows.collect::<String>()))
}

fn add(into: &mut Vec<(String, String)>, name: &str, value: &Value) {
    match value {
        Value::Object(inner) => {
            for (key, value) in inner {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                add(into, &name, value);
            }
        }
        Value::String(text) => into.push((name.to_owned(), text.clone())),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (i, item) in items.iter().enumerate() {
                add(into, &format!("{name}.{i}"), item);
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            into.push((name.to_owned(), items.join(", ")));
        }
        other => into.push((name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]

    #[test]
    fn numbers_stay_as_they_were_written() {
        let rows = super::flat(&std::collections::BTreeMap::from([("room", 0.2_f32)])).unwrap();
        assert_eq!(rows, [("room".to_owned(), "0.2".to_owned())]);
    }

    #[test]
    fn what_stands_inside_is_named_with_what_is_around_it() {
        let settings =
            serde_json::json!({"epochs": 3, "net": {"dilations": [1, 2], "kind": "tcn"}, "also": [{"a": 1}]});
        let text = super::markdown(&settings).unwrap();
        assert!(text.contains("| epochs | 3 |\n") && text.contains("| net.dilations | 1, 2 |\n"), "{text}");
        assert!(text.contains("| net.kind | tcn |\n") && text.contains("| also.0.a | 1 |\n"), "{text}");
    }
}
