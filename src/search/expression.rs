//! A query as the log understands it. Pure.

use std::ops::Bound;

use tantivy_query_grammar::{Delimiter, Occur, UserInputAst, UserInputBound, UserInputLeaf, UserInputLiteral};

use super::DEFAULT_FIELDS;
use super::field::{Field, Sort};
use super::value::{Wild, bound, number, words};
use crate::event::Invalid;

/// The longest query, in bytes.
const MAX_BYTES: usize = 4096;

/// The deepest nesting of parentheses: the parser's time grows with a power of it.
const MAX_DEPTH: usize = 8;

/// A condition on a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(pub(super) Node);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Every document.
    All,
    /// All of `must`, none of `not`, and where there is no `must`, one of `should`, if there are any.
    Clause { must: Vec<Node>, should: Vec<Node>, not: Vec<Node> },
    /// One of these fields is like that.
    Any(Vec<(Field, Test)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// It is there.
    Exists,
    /// It is this text.
    Is(String),
    /// It is like this.
    Like(Wild),
    /// It has these words behind each other.
    Phrase(Vec<String>),
    /// It is this number.
    Number(f64),
    /// It is true, or it is not.
    Bool(bool),
    /// It lies between.
    Between(Bound<f64>, Bound<f64>),
}

impl Expression {
    /// Reads a query, of at most 4 KiB.
    ///
    /// Understood are `field:value`, `field:"several words"`, `field:(one OR other)`, `*` and `?` in a value,
    /// `field:*` for one that is there, `[a TO b]`, `{a TO b}` and `>=` of numbers and times, `AND`, `OR`, `NOT`,
    /// `+`, `-`, parentheses, and words alone, which are looked for in the [`DEFAULT_FIELDS`]. `AND` binds closer
    /// than `OR`. A value is compared letter by letter; in `body.text` word by word, whatever the case.
    ///
    /// # Errors
    /// Names what is not understood: regular expressions, `~`, `^`, a field that there is not.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong = |what: &str, expected: &str| Invalid::new("query", what, expected);
        if text.len() > MAX_BYTES {
            return Err(wrong("", "at most 4096 bytes"));
        }
        if depth(text) > MAX_DEPTH {
            return Err(wrong("", "at most 8 parentheses in each other"));
        }
        let (ast, errors) = tantivy_query_grammar::parse_query_lenient(text);
        if let Some(error) = errors.first() {
            let rest = text.get(error.pos..).unwrap_or_default();
            return Err(Invalid::new("query", rest, format!("a query ({} here)", error.message)));
        }
        node(ast).map(Self)
    }
}

fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' => now += 1,
            ')' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

fn node(ast: UserInputAst) -> Result<Node, Invalid> {
    match ast {
        UserInputAst::Clause(parts) => {
            let (mut must, mut should, mut not) = (Vec::new(), Vec::new(), Vec::new());
            for (occur, part) in parts {
                match occur {
                    Some(Occur::Must) => must.push(node(part)?),
                    Some(Occur::Should) | None => should.push(node(part)?),
                    Some(Occur::MustNot) => not.push(node(part)?),
                }
            }
            Ok(Node::Clause { must, should, not })
        }
        UserInputAst::Boost(_, _) => Err(not_here("^", "no weight: all that is found counts alike")),
        UserInputAst::Leaf(leaf) => self::leaf(*leaf),
    }
}

fn leaf(leaf: UserInputLeaf) -> Result<Node, Invalid> {
    match leaf {
        UserInputLeaf::All => Ok(Node::All),
        UserInputLeaf::Exists { field } => one(&field, |_| Ok(Test::Exists)),
        UserInputLeaf::Range { field, lower, upper } => {
            let field = field.ok_or_else(|| not_here("[…]", "a field before a range"))?;
            one(&field, |sort| Ok(Test::Between(end(sort, &lower, false)?, end(sort, &upper, true)?)))
        }
        UserInputLeaf::Set { .. } => Err(not_here("IN", "field:(one OR other)")),
        UserInputLeaf::Regex { pattern, .. } => {
            Err(not_here(&pattern, "no regular expression: `*` and `?` will do"))
        }
        UserInputLeaf::Literal(literal) => self::literal(&literal),
    }
}

fn literal(literal: &UserInputLiteral) -> Result<Node, Invalid> {
    let UserInputLiteral { field_name, phrase, delimiter, slop, prefix } = literal;
    let quoted = *delimiter != Delimiter::None;
    if *delimiter == Delimiter::SingleQuotes {
        return Err(not_here(phrase, "double quotes"));
    }
    if *slop > 0 || *prefix || (!quoted && phrase.contains('~')) {
        return Err(not_here(phrase, "no `~` and no `*` behind quotes: only Elasticsearch finds what is near"));
    }
    if !quoted && phrase.len() > 1 && phrase.starts_with('/') && phrase.ends_with('/') {
        return Err(not_here(phrase, "no regular expression: `*` and `?` will do"));
    }
    match field_name.as_deref() {
        Some("_exists_") => one(phrase, |_| Ok(Test::Exists)),
        Some(field) => one(field, |sort| test(sort, phrase, quoted)),
        None => {
            let fields = DEFAULT_FIELDS.iter().map(|name| {
                let field = Field::named(name)?;
                let test = test(field.sort, phrase, quoted)?;
                Ok((field, test))
            });
            fields.collect::<Result<_, _>>().map(Node::Any)
        }
    }
}

fn one(name: &str, test: impl FnOnce(Sort) -> Result<Test, Invalid>) -> Result<Node, Invalid> {
    let field = Field::named(name)?;
    let test = test(field.sort)?;
    Ok(Node::Any(vec![(field, test)]))
}

fn test(sort: Sort, word: &str, quoted: bool) -> Result<Test, Invalid> {
    let wild = || if quoted { None } else { Wild::new(word) };
    Ok(match sort {
        Sort::Keyword => wild().map_or_else(|| Test::Is(word.into()), Test::Like),
        Sort::Text => match if quoted { None } else { Wild::new(&word.to_lowercase()) } {
            Some(wild) => Test::Like(wild),
            None => Test::Phrase(words(word)),
        },
        Sort::Number => Test::Number(number(word)?),
        Sort::Bool => Test::Bool(word.parse().map_err(|_| Invalid::new("query", word, "true or false"))?),
        Sort::Time => return Err(Invalid::new("query", word, "a range of time, such as [2026-01-31 TO *]")),
    })
}

fn end(sort: Sort, end: &UserInputBound, upper: bool) -> Result<Bound<f64>, Invalid> {
    Ok(match end {
        UserInputBound::Unbounded => Bound::Unbounded,
        UserInputBound::Inclusive(word) if word == "*" => Bound::Unbounded,
        UserInputBound::Exclusive(word) if word == "*" => Bound::Unbounded,
        UserInputBound::Inclusive(word) => Bound::Included(bound(sort, word, upper, true)?),
        UserInputBound::Exclusive(word) => Bound::Excluded(bound(sort, word, upper, false)?),
    })
}

fn not_here(what: &str, expected: &str) -> Invalid {
    Invalid::new("query", what, expected)
}
