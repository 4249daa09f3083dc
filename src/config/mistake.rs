//! A mistake in a configuration: where, what was expected, what was found, and what may have been meant.

use std::fmt;
use std::sync::Arc;

/// Where a value was given. The later variants win over the earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nowhere: it is a default.
    Default,
    /// A file and a line, which begins at 1.
    File(Arc<str>, usize),
    /// An environment variable.
    Variable(String),
    /// An option of the command line.
    Flag(&'static str),
}

impl Place {
    /// Whether `self` comes from a layer that is laid over that of `other`.
    pub(super) fn is_over(&self, other: &Self) -> bool {
        let layer = |place: &Self| match place {
            Self::Default => 0,
            Self::File(..) => 1,
            Self::Variable(_) => 2,
            Self::Flag(_) => 3,
        };
        layer(self) > layer(other)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("defaults"),
            Self::File(name, line) => write!(f, "{name}:{line}"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands.
    pub place: Place,
    /// The path of the key, such as `process_compose[0].timeout`; empty for the whole file.
    pub key: String,
    /// What was expected.
    pub expected: String,
    /// What was found; never a secret. Empty where nothing was.
    pub found: String,
    /// The key or word that may have been meant.
    pub suggestion: Option<String>,
}

impl Mistake {
    /// A mistake without a suggestion.
    pub(super) fn new(place: &Place, key: &str, expected: impl Into<String>, found: &str) -> Self {
        let found = found.chars().take(80).collect();
        Self { place: place.clone(), key: key.into(), expected: expected.into(), found, suggestion: None }
    }

    /// A key that there is not, with the known one that is nearest to it.
    pub(super) fn unknown(place: &Place, key: &str, found: &str, known: &[&str]) -> Self {
        let expected = format!("one of the keys {}", known.join(", "));
        Self { suggestion: nearest(found, known), ..Self::new(place, key, expected, found) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "expected {}", self.expected)?;
        if !self.found.is_empty() {
            write!(f, ", found `{}`", self.found)?;
        }
        match &self.suggestion {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

/// The word that `found` was most likely meant to be, if any is near enough.
pub(super) fn nearest(found: &str, known: &[&str]) -> Option<String> {
    let likeness = |word: &&str| strsim::damerau_levenshtein(&found.to_lowercase(), word);
    let best = known.iter().copied().min_by_key(|word| likeness(word))?;
    (likeness(&best) <= best.len().max(3) / 3).then(|| best.to_owned())
}

/// All mistakes of a configuration, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.0.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {many} in the configuration", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}
