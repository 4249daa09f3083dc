//! Whether a document is meant. Pure.

use std::ops::RangeBounds;

use serde_json::Value;

use super::document::{Document, moment};
use super::expression::{Expression, Node, Test};
use super::field::{Field, Sort};
use super::value::words;

impl Expression {
    /// Whether it is meant.
    pub(super) fn matches(&self, document: &Document) -> bool {
        holds(&self.0, document)
    }
}

fn holds(node: &Node, document: &Document) -> bool {
    let holds = |node: &Node| self::holds(node, document);
    match node {
        Node::All => true,
        Node::Clause { must, should, not } => {
            let enough = !must.is_empty() || should.is_empty() || should.iter().any(holds);
            enough && must.iter().all(holds) && !not.iter().any(holds)
        }
        Node::Any(tests) => tests
            .iter()
            .any(|(field, test)| document.values(&field.path).into_iter().any(|value| meets(field, test, value))),
    }
}

fn meets(field: &Field, test: &Test, value: &Value) -> bool {
    match test {
        Test::Exists => true,
        Test::Is(text) => written(value) == *text,
        Test::Like(wild) if field.sort == Sort::Text => {
            words(&written(value)).iter().any(|word| wild.matches(word))
        }
        Test::Like(wild) => wild.matches(&written(value)),
        Test::Phrase(phrase) => {
            let words = words(&written(value));
            !phrase.is_empty() && words.windows(phrase.len()).any(|run| run == phrase)
        }
        Test::Number(number) => value.as_f64() == Some(*number),
        Test::Bool(truth) => value.as_bool() == Some(*truth),
        Test::Between(from, to) => {
            let number = match field.sort {
                Sort::Time => moment(value).map(|time| time.as_millis() as f64),
                _ => value.as_f64(),
            };
            number.is_some_and(|number| (*from, *to).contains(&number))
        }
    }
}

/// A value as a keyword: text as it is, a number or a truth as it is written.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
