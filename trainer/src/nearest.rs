//! Mistyped words: which known one was meant.

/// « (did you mean …?)», for the end of a sentence about `word`; empty where no known word is like it.
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let lower = word.to_lowercase();
    // A third of the letters may be wrong: more, and the guess is no help.
    let most = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map_or_else(String::new, |(_, k)| format!(" (did you mean «{k}»?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_named() {
        let known = ["rename", "drop", "keep_only"];
        assert_eq!(did_you_mean("renmae", known), " (did you mean «rename»?)");
        assert_eq!(did_you_mean("Drops", known), " (did you mean «drop»?)");
        assert_eq!(did_you_mean("label", known), "", "a guess that far off is no help");
    }
}
