//! YAML text to a tree with lines. Anchors, aliases and tags are not read: a configuration needs none, and
//! without them a small file cannot become a large tree.

use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::Mistake;
use super::mistake::Place;
use super::tree::{Entry, Node, Value};

/// How deep maps and lists may stand in each other.
const MAX_DEPTH: usize = 16;

/// Reads one document. What can be read is read, so that the mistakes in the rest are told with those here.
pub(super) fn parse(file: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Node {
    let mut reader = Reader { parser: Parser::new_from_str(text), file: file.into(), mistakes };
    match reader.document() {
        Ok(node) => node,
        Err(error) => {
            let place = Place::File(reader.file.clone(), error.marker().line());
            let found = text.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or_default().trim();
            // It may be a secret whose quotes were not closed.
            let found = if ["token", "password", "@"].iter().any(|word| found.contains(word)) { "" } else { found };
            let expected = format!("YAML ({})", error.info());
            reader.mistakes.push(Mistake::new(&place, "", expected, found));
            Node::empty_map()
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: Arc<str>,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), ScanError> {
        self.parser.next().unwrap_or(Ok((Event::StreamEnd, Span::default())))
    }

    fn place(&self, span: Span) -> Place {
        Place::File(self.file.clone(), span.start.line())
    }

    fn mistake(&mut self, span: Span, expected: &str, found: &str) {
        let place = self.place(span);
        self.mistakes.push(Mistake::new(&place, "", expected, found));
    }

    fn document(&mut self) -> Result<Node, ScanError> {
        let mut root = Node::empty_map();
        let mut documents = 0;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), span) => {
                    documents += 1;
                    if documents == 2 {
                        self.mistake(span, "one document in the file", "a second one");
                    }
                }
                (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
                (event, span) => {
                    let node = self.node(event, span, 0)?;
                    if documents < 2 {
                        root = node;
                    }
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, ScanError> {
        if depth > MAX_DEPTH {
            return Err(ScanError::new(span.start, format!("maps and lists at most {MAX_DEPTH} deep")));
        }
        let place = self.place(span);
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => {
                self.mistake(span, "a value written out", "an alias");
                Value::Nothing
            }
        };
        Ok(Node::new(place, value))
    }

    fn list(&mut self, depth: usize) -> Result<Value, ScanError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, ScanError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                return Ok(Value::Map(entries));
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let node = self.node(event, value_span, depth + 1)?;
            let Value::Word(key) = key.value else {
                self.mistake(span, "a word as a key", "something else");
                continue;
            };
            match entries.iter().find(|entry| entry.key == key) {
                Some(first) => {
                    let expected = format!("each key once; this one stands at {} already", first.place);
                    self.mistake(span, &expected, &key);
                }
                None => entries.push(Entry { key, place: self.place(span), node }),
            }
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Nothing,
        _ => Value::Word(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut mistakes = Vec::new();
        parse("w.yaml", text, &mut mistakes);
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn keeps_words_as_they_are_written_and_knows_their_lines() {
        let mut mistakes = Vec::new();
        let root = parse("w.yaml", "a:\n  b: 007\n  c: [x, 'null']\nd: ~\n", &mut mistakes);
        assert_eq!(mistakes, []);
        let a = &root.get("a").expect("a").node;
        let b = a.get("b").expect("b");
        assert_eq!((&b.node.value, &b.place), (&Value::Word("007".into()), &Place::File("w.yaml".into(), 2)));
        let Value::List(items) = &a.get("c").expect("c").node.value else { panic!("c is a list") };
        assert_eq!(items[1].value, Value::Word("null".into()));
        assert!(root.get("d").is_none());
    }

    #[test]
    fn tells_what_it_cannot_read() {
        check("a: 1\nb: [1\n", &["w.yaml:3: expected YAML (while parsing a flow sequence, expected ',' or ']')"]);
        check(
            "a: 1\na: 2\n",
            &["w.yaml:2: expected each key once; this one stands at w.yaml:1 already, found `a`"],
        );
        check("a: &x 1\nb: *x\n", &["w.yaml:2: expected a value written out, found `an alias`"]);
        check("a: 1\n---\nb: 2\n", &["w.yaml:2: expected one document in the file, found `a second one`"]);
        check(
            "a:\n  password: 'x\n",
            &["w.yaml:2: expected YAML (while scanning a quoted scalar, found unexpected end of stream)"],
        );
        check("[]: 1\n", &["w.yaml:1: expected a word as a key, found `something else`"]);
        let deep = "[".repeat(40) + &"]".repeat(40);
        check(&deep, &[&format!("w.yaml:1: expected YAML (maps and lists at most 16 deep), found `{deep}`")]);
    }
}
