//! Choosing events: by process, namespace, type, or by a subject of one's own.

use crate::event::subject::token;
use crate::event::{Invalid, Pattern};

/// Which events of a stream to read. What is not said is not asked.
///
/// ```
/// use watchpost::consumer::Filter;
///
/// let crashes_of_nats = Filter::all().process("default/nats").kind("crashed");
/// assert_eq!(crashes_of_nats.subjects().unwrap()[0].as_str(), "core.process.default.nats.crashed");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Filter {
    prefix: Option<String>,
    namespace: Option<String>,
    process: Option<String>,
    kind: Option<String>,
    raw: Vec<String>,
}

impl Filter {
    /// Everything in the stream.
    pub fn all() -> Self {
        Self::default()
    }

    /// Events of one process: `NAME` in any namespace, or `NAMESPACE/NAME`.
    #[must_use]
    pub fn process(mut self, process: &str) -> Self {
        match process.split_once('/') {
            Some((namespace, name)) => {
                (self.namespace, self.process) = (Some(namespace.into()), Some(name.into()));
            }
            None => self.process = Some(process.into()),
        }
        self
    }

    /// Events of the processes of one namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Events of one type, of processes and of sources.
    #[must_use]
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// What process subjects begin with, where a source has another prefix than `core.process`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Events under a subject, with the wildcards of NATS; beside those chosen otherwise. May be called again.
    #[must_use]
    pub fn subject(mut self, pattern: &str) -> Self {
        self.raw.push(pattern.into());
        self
    }

    /// The subjects that it stands for, without those that another one covers.
    pub fn subjects(&self) -> Result<Vec<Pattern>, Invalid> {
        let name = |name: &Option<String>| name.as_deref().map_or_else(|| "*".to_owned(), token);
        let (namespace, process, kind) = (name(&self.namespace), name(&self.process), name(&self.kind));
        let prefix = self.prefix.as_deref().unwrap_or("core.process");
        let of_a_process = self.namespace.is_some() || self.process.is_some() || self.prefix.is_some();
        let mut subjects = self.raw.clone();
        if of_a_process || self.kind.is_some() {
            subjects.push(format!("{prefix}.{namespace}.{process}.{kind}"));
        }
        if self.kind.is_some() && !of_a_process {
            subjects.push(format!("core.source.*.{kind}"));
        }
        if subjects.is_empty() {
            subjects.push(">".into());
        }
        let patterns: Result<Vec<Pattern>, Invalid> = subjects.iter().map(Pattern::parse).collect();
        Ok(apart(patterns?))
    }
}

/// NATS takes no filters that overlap.
fn apart(patterns: Vec<Pattern>) -> Vec<Pattern> {
    let mut kept: Vec<Pattern> = Vec::new();
    for pattern in patterns {
        if !kept.iter().any(|other| covers(other, &pattern)) {
            kept.retain(|other| !covers(&pattern, other));
            kept.push(pattern);
        }
    }
    kept
}

/// Whether `wide` chooses all that `narrow` does. No number of `*` stands for a `>`.
fn covers(wide: &Pattern, narrow: &Pattern) -> bool {
    let open = |pattern: &Pattern| pattern.as_str().ends_with('>');
    wide.matches(narrow.as_str()) && (open(wide) || !open(narrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &Filter, expected: &[&str]) {
        let subjects = filter.subjects().expect("good subjects");
        assert_eq!(subjects.iter().map(Pattern::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_filter_is_the_subjects_that_it_stands_for() {
        check(&Filter::all(), &[">"]);
        check(&Filter::all().process("nats"), &["core.process.*.nats.*"]);
        check(&Filter::all().process("default/nats"), &["core.process.default.nats.*"]);
        check(&Filter::all().namespace("default"), &["core.process.default.*.*"]);
        check(&Filter::all().kind("crashed"), &["core.process.*.*.crashed", "core.source.*.crashed"]);
        check(&Filter::all().process("nats").kind("crashed"), &["core.process.*.nats.crashed"]);
        check(&Filter::all().prefix("lab.process"), &["lab.process.*.*.*"]);
        check(&Filter::all().subject("core.>").subject("hub.>"), &["core.>", "hub.>"]);
        check(&Filter::all().subject("a.b").subject("a.b").subject("a.>").subject("a.*.c"), &["a.>"]);
        check(&Filter::all().subject("a.*").subject("a.>").subject("*.b"), &["a.>", "*.b"]);
        check(&Filter::all().process("a b.c"), &["core.process.*.a=20b=2Ec.*"]);
    }

    #[test]
    fn a_subject_that_is_none_is_refused() {
        assert!(Filter::all().subject("a..b").subjects().is_err());
    }
}
