//! Subjects: the dotted names under which NATS carries events, and the patterns that choose among them.
//!
//! A name of any kind becomes exactly one token. What NATS or a URL would take for syntax, and what is not
//! ASCII, is written as `=XX` (a byte in upper-case hex, `=` itself as `=3D`); the empty name is `=`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Invalid, Kind, StreamId};

/// The most bytes in a subject; nats-server takes 4,096 bytes for the whole control line.
pub const MAX_SUBJECT_BYTES: usize = 1024;

const RULE: &str = "dotted tokens of visible ASCII without `*`, `>` or blanks, at most 1024 bytes";

/// A subject that an event is published under: never a wildcard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Subject(Arc<str>);

impl Subject {
    /// Takes text that is a subject already.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, Invalid> {
        let text = text.as_ref();
        let token = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'>');
        if text.len() > MAX_SUBJECT_BYTES || text.starts_with('$') || !text.split('.').all(token) {
            return Err(Invalid::new("subject", text, RULE));
        }
        Ok(Self(text.into()))
    }

    /// Builds one from names, each of which becomes one token.
    pub fn from_names<'a>(prefix: &str, names: impl IntoIterator<Item = &'a str>) -> Result<Self, Invalid> {
        let mut text = prefix.to_owned();
        for name in names {
            text.push('.');
            encode(name, &mut text);
        }
        Self::parse(text)
    }

    /// `{prefix}.{namespace}.{name}.{type}`; the prefix is `core.process` unless the source sets another.
    pub fn process(prefix: &str, namespace: &str, name: &str, kind: &Kind) -> Result<Self, Invalid> {
        Self::from_names(prefix, [namespace, name, kind.as_str()])
    }

    /// `core.source.{source}.{type}`.
    pub fn source(source: &str, kind: &Kind) -> Result<Self, Invalid> {
        Self::from_names("core.source", [source, kind.as_str()])
    }

    /// `core.session.{session}.{type}`.
    pub fn session(session: &StreamId, kind: &Kind) -> Result<Self, Invalid> {
        Self::from_names("core.session", [session.as_str(), kind.as_str()])
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its tokens as the names that they were built from.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('.').map(decode)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Subject {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

/// Writes a name of any kind as one token.
pub fn encode(name: &str, out: &mut String) {
    if name.is_empty() {
        out.push('=');
    }
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
}

/// A name as one token.
pub fn token(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    encode(name, &mut out);
    out
}

/// The name that a token was written from. A token that nobody here wrote is read as far as it can be.
pub fn decode(token: &str) -> String {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'=').then(|| tail.get(..2)).flatten();
        let escaped = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None if token == "=" => break,
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Chooses subjects, as NATS does: `*` stands for one token, `>` at the end for one or more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Takes the text of a pattern.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, Invalid> {
        let text = text.as_ref();
        let last = text.split('.').count() - 1;
        let token = |(i, t): (usize, &str)| match t {
            "*" => true,
            ">" => i == last,
            _ => !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'>'),
        };
        if text.len() > MAX_SUBJECT_BYTES || !text.split('.').enumerate().all(token) {
            let rule = "dotted tokens, each a name or `*`, the last may be `>`, at most 1024 bytes";
            return Err(Invalid::new("subject", text, rule));
        }
        Ok(Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no wildcard, so that it names one subject.
    pub fn is_literal(&self) -> bool {
        !self.0.split('.').any(|t| t == "*" || t == ">")
    }

    /// Whether it chooses that subject.
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for wanted in self.0.split('.') {
            match (wanted, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// Whether there is a subject that both choose.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut one, mut other) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (one.next(), other.next()) {
                (None, None) => return true,
                (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Pattern {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn started() -> Kind {
        Kind::new("started").expect("a type")
    }

    #[test]
    fn is_what_the_documents_show() {
        let subject = Subject::process("core.process", "default", "nats", &started()).expect("plain names");
        assert_eq!(subject.as_str(), "core.process.default.nats.started");
    }

    #[test]
    fn names_that_look_like_syntax_become_one_token() {
        let check = |name: &str, written: &str| {
            assert_eq!(token(name), written);
            assert_eq!(decode(written), name);
        };
        check("a.b c", "a=2Eb=20c");
        check("*", "=2A");
        check(">", "=3E");
        check("a/b%c", "a=2Fb=25c");
        check("é", "=C3=A9");
        check("=2E", "=3D2E");
        check("=", "=3D");
        check("", "=");
    }

    #[test]
    fn a_wildcard_is_never_a_subject() {
        for text in ["a.*", "a.>", ">", "a..b", "", ".", "a.b ", "$JS.API", "a.é", &"x".repeat(1025)] {
            assert!(Subject::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_choose_as_nats_does() {
        let check = |pattern: &str, subject: &str, yes: bool| {
            let parsed = Pattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.matches(subject), yes, "{pattern} on {subject}");
        };
        check("core.process.>", "core.process.default.nats.started", true);
        check("core.process.>", "core.process", false);
        check("core.process.*.nats.*", "core.process.default.nats.started", true);
        check("core.process.*.nats.*", "core.process.default.caddy.started", false);
        check("a.b", "a.b", true);
        check("a.b", "a.b.c", false);
        check("a.*", "a", false);
        for pattern in ["", "a.>.b", "a.b*", "a. ", "a..b"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn patterns_overlap_where_a_subject_could_be_in_both() {
        let check = |one: &str, other: &str, yes: bool| {
            let (a, b) = (Pattern::parse(one).expect(one), Pattern::parse(other).expect(other));
            assert_eq!((a.overlaps(&b), b.overlaps(&a)), (yes, yes), "{one} {other}");
        };
        check("core.>", "core.process.>", true);
        check("core.process.*.nats.*", "core.process.>", true);
        check("core.*.started", "core.process.*", true);
        check("core.process.>", "core.source.>", false);
        check("core.process", "core.process.>", false);
        check("a", "a", true);
        check("a.b", "a", false);
    }

    proptest! {
        #[test]
        fn building_and_parsing_are_inverse(namespace in ".{0,40}", name in ".{0,40}") {
            let subject = Subject::process("core.process", &namespace, &name, &started()).expect("any names");
            let names: Vec<String> = subject.names().collect();
            prop_assert_eq!(names, vec!["core".to_owned(), "process".into(), namespace, name, "started".into()]);
        }
    }
}
