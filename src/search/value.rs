//! What a field is compared with. Pure.

use unicode_segmentation::UnicodeSegmentation;

use super::field::Sort;
use crate::event::{Invalid, Timestamp};

/// A whole day, in milliseconds.
const DAY: i64 = 24 * 3600 * 1000;

/// A text with `*` for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wild(Vec<char>);

impl Wild {
    /// Takes a pattern; nothing where it has neither.
    pub(super) fn new(text: &str) -> Option<Self> {
        text.contains(['*', '?']).then(|| Self(text.chars().collect()))
    }

    /// Whether it takes all of a text. Goes back to the last `*` only, so the time is bounded by the product.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (&self.0, text.chars().collect::<Vec<_>>());
        let (mut at, mut seen) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while seen < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(&c) if c == '?' || c == text[seen] => (at, seen) = (at + 1, seen + 1),
                _ => match star {
                    Some((place, from)) => {
                        star = Some((place, from + 1));
                        (at, seen) = (place + 1, from + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|&c| c == '*')
    }
}

/// The words of a text, as Elasticsearch's standard analyzer has them: Unicode's, in lower case.
pub(super) fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// One end of a range, as a number; times in milliseconds. `upper`: it is the upper end.
pub(super) fn bound(sort: Sort, word: &str, upper: bool, inclusive: bool) -> Result<f64, Invalid> {
    match sort {
        Sort::Number => number(word),
        Sort::Time => match format!("{word}T00:00:00Z").parse::<Timestamp>() {
            // A day is meant whole: as an upper end that is in, or a lower end that is out, its last moment.
            Ok(day) if upper == inclusive => Ok((day.as_millis() + DAY - 1) as f64),
            Ok(day) => Ok(day.as_millis() as f64),
            Err(_) => Ok(time(word)?.as_millis() as f64),
        },
        Sort::Keyword | Sort::Text | Sort::Bool => {
            Err(Invalid::new("query", word, "a range of a number or a time only"))
        }
    }
}

/// A number as it is written.
pub(super) fn number(word: &str) -> Result<f64, Invalid> {
    word.parse().map_err(|_| Invalid::new("query", word, "a number"))
}

fn time(word: &str) -> Result<Timestamp, Invalid> {
    word.parse().map_err(|error: Invalid| Invalid { field: "query", ..error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_the_whole_text() {
        for (pattern, text, taken) in [
            ("cra*", "crashed", true),
            ("*ash*", "crashed", true),
            ("cr?shed", "crashed", true),
            ("cra*", "Crashed", false),
            ("*a", "crashed", false),
            ("a*b*c", "aXbXbXc", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(Wild::new(pattern).expect("a pattern").matches(text), taken, "{pattern} {text}");
        }
        assert_eq!(Wild::new("plain"), None);
    }

    #[test]
    fn a_day_is_meant_whole() {
        let at = |upper, inclusive| bound(Sort::Time, "1970-01-02", upper, inclusive).expect("a day") as i64;
        assert_eq!((at(false, true), at(false, false)), (DAY, 2 * DAY - 1));
        assert_eq!((at(true, true), at(true, false)), (2 * DAY - 1, DAY));
    }

    #[test]
    fn words_are_unicodes() {
        assert_eq!(
            words("Default/api crashed, exit code 143"),
            ["default", "api", "crashed", "exit", "code", "143"]
        );
    }
}
