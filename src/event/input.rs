//! An event as a sender writes it: one JSON object, to the draft that it stands for. Pure.
//!
//! | key | what |
//! |---|---|
//! | `type` | must be there |
//! | `data` | an object; `{}` where there is none |
//! | `ts`, `id`, `severity`, `correlation_id`, `hops` | as in the event |
//! | `origin` | an object of `hub_id`, `source`, `service`, `host`, `user` |
//! | `trace` or `traceparent` | an object of `trace_id`, `span_id`, `parent_id`, or the W3C header's text |
//! | `session` | where it is given, the one that is written to |
//! | `seq`, `observed`, `subject`, `offset` | passed over, so that an event that was read can be sent: they are given anew |
//!
//! `null` is as good as nothing. Any other key is a mistake, as it would be lost in silence.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::trace::{Traceparent, is_id};
use super::{
    Data, Draft, Invalid, Kind, MAX_HOPS, Origin, SenderId, Severity, StreamId, Subject, Timestamp, Trace, session,
};

/// The most bytes of a severity that Watchpost does not know.
const MAX_SEVERITY: usize = 32;

const KEYS: [&str; 15] = [
    "type",
    "data",
    "ts",
    "id",
    "severity",
    "origin",
    "correlation_id",
    "trace",
    "traceparent",
    "hops",
    "session",
    "seq",
    "observed",
    "subject",
    "offset",
];

/// An event as it was sent; see the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The session that it says it belongs to.
    session: Option<StreamId>,
    /// Its type.
    pub kind: Kind,
    /// The sender's id.
    pub id: Option<SenderId>,
    /// When it happened.
    pub ts: Option<Timestamp>,
    severity: Option<Severity>,
    origin: Origin,
    correlation_id: Option<Uuid>,
    trace: Option<Trace>,
    hops: u8,
    /// Its payload.
    pub data: Data,
}

impl Input {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// The first field that is not as it has to be; `event` where that is the object itself.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        let object = |error: serde_json::Error| Invalid::new("event", "", format!("a JSON object ({error})"));
        let Pairs(pairs) = serde_json::from_str(json).map_err(object)?;
        let mut fields = Fields::default();
        for (key, value) in pairs {
            if !KEYS.contains(&&*key) {
                return Err(Invalid::new("event", &key, format!("the keys {}", KEYS.join(", "))));
            }
            if value.get() != "null" {
                fields.set(&key, value)?;
            }
        }
        fields.finish()
    }

    /// The draft for that session. `fallback` is the id where the sender gave none; the severity comes from the
    /// catalog where the sender gave none.
    ///
    /// # Errors
    /// It names another session, or is larger than an event may be.
    pub fn into_draft(self, of: &StreamId, fallback: Option<SenderId>) -> Result<Draft, Invalid> {
        if let Some(other) = self.session.filter(|other| other != of) {
            return Err(Invalid::new("session", other.as_str(), format!("{of}, which is written to")));
        }
        let severity = self.severity.unwrap_or_else(|| session::severity(self.kind.as_str(), self.data.get()));
        let subject = Subject::session(of, &self.kind)?;
        let draft = Draft {
            id: self.id.or(fallback),
            ts: self.ts,
            origin: self.origin,
            correlation_id: self.correlation_id,
            trace: self.trace,
            hops: self.hops,
            ..Draft::new(of.clone(), self.kind, subject, severity, self.data)
        };
        draft.validate()?;
        Ok(draft)
    }
}

/// The keys of an object with their values as they were written, in that order.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some(Key(key)) = map.next_key()? {
                    pairs.push((key, map.next_value()?));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A key, borrowed where it can be.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// What was read so far.
#[derive(Default)]
struct Fields {
    session: Option<StreamId>,
    kind: Option<Kind>,
    id: Option<SenderId>,
    ts: Option<Timestamp>,
    severity: Option<Severity>,
    origin: Option<Origin>,
    correlation_id: Option<Uuid>,
    trace: Option<Trace>,
    hops: Option<u8>,
    data: Option<Data>,
}

impl Fields {
    fn set(&mut self, key: &str, value: &RawValue) -> Result<(), Invalid> {
        let twice = match key {
            "session" => self.session.replace(StreamId::new(text("session", value)?)?).is_some(),
            "type" => self.kind.replace(Kind::new(text("type", value)?)?).is_some(),
            "id" => self.id.replace(SenderId::new(text("id", value)?)?).is_some(),
            "ts" => self.ts.replace(text("ts", value)?.parse()?).is_some(),
            "severity" => self.severity.replace(severity(value)?).is_some(),
            "origin" => self.origin.replace(origin(value)?).is_some(),
            "correlation_id" => self.correlation_id.replace(correlation_id(value)?).is_some(),
            "trace" => self.trace.replace(trace(value)?).is_some(),
            "traceparent" => self.trace.replace(traceparent(value)?).is_some(),
            "hops" => self.hops.replace(hops(value)?).is_some(),
            "data" => self.data.replace(data(value)?).is_some(),
            // What is passed over.
            _ => false,
        };
        match twice {
            true => Err(Invalid::new("event", key, "each key once, and one of trace and traceparent")),
            false => Ok(()),
        }
    }

    fn finish(self) -> Result<Input, Invalid> {
        let empty = || Data::parse("{}".into());
        Ok(Input {
            session: self.session,
            kind: self.kind.ok_or_else(|| Invalid::new("type", "", "the type of the event"))?,
            id: self.id,
            ts: self.ts,
            severity: self.severity,
            origin: self.origin.unwrap_or_default(),
            correlation_id: self.correlation_id,
            trace: self.trace,
            hops: self.hops.unwrap_or_default(),
            data: self.data.map_or_else(empty, Ok)?,
        })
    }
}

fn text<'a>(field: &'static str, value: &'a RawValue) -> Result<Cow<'a, str>, Invalid> {
    let text = serde_json::from_str(value.get()).map(|Key(text)| text);
    text.map_err(|_| Invalid::new(field, value.get(), "a text"))
}

fn severity(value: &RawValue) -> Result<Severity, Invalid> {
    let word = text("severity", value)?;
    if word.is_empty() || word.len() > MAX_SEVERITY || !word.bytes().all(|b| b.is_ascii_graphic()) {
        let expected = format!("debug, info, warning, error, or 1 to {MAX_SEVERITY} visible ASCII characters");
        return Err(Invalid::new("severity", &word, expected));
    }
    Ok(Severity::from(word.into_owned()))
}

fn origin(value: &RawValue) -> Result<Origin, Invalid> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given {
        hub_id: Option<Arc<str>>,
        source: Option<Arc<str>>,
        service: Option<Arc<str>>,
        host: Option<Arc<str>>,
        user: Option<Arc<str>>,
    }
    let given: Given = object("origin", value, "an object of hub_id, source, service, host and user, each a text")?;
    let Given { hub_id, source, service, host, user } = given;
    Ok(Origin { hub_id, source, service, host, user })
}

fn trace(value: &RawValue) -> Result<Trace, Invalid> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given {
        trace_id: String,
        span_id: Option<String>,
        parent_id: Option<String>,
    }
    let expected = "an object of trace_id (32 hex digits), span_id and parent_id (16 each), in lower case";
    let Given { trace_id, span_id, parent_id } = object("trace", value, expected)?;
    let spans = [&span_id, &parent_id].into_iter().flatten().all(|id| is_id(id, 16));
    if !is_id(&trace_id, 32) || !spans {
        return Err(Invalid::new("trace", value.get(), expected));
    }
    Ok(Trace { trace_id, span_id, parent_id })
}

fn traceparent(value: &RawValue) -> Result<Trace, Invalid> {
    let text = text("traceparent", value)?;
    let parent: Traceparent = text.parse()?;
    // What is a parent to those that are called is the span in which the sender was.
    Ok(Trace { trace_id: parent.trace_id, span_id: Some(parent.span_id), parent_id: None })
}

fn correlation_id(value: &RawValue) -> Result<Uuid, Invalid> {
    let text = text("correlation_id", value)?;
    Uuid::try_parse(&text).map_err(|_| Invalid::new("correlation_id", &text, "a UUID"))
}

fn hops(value: &RawValue) -> Result<u8, Invalid> {
    let hops = serde_json::from_str(value.get()).ok().filter(|hops| *hops <= MAX_HOPS);
    hops.ok_or_else(|| Invalid::new("hops", value.get(), format!("a whole number from 0 to {MAX_HOPS}")))
}

/// A payload as it was written, but on one line: a line break can only stand between its tokens, and an event is
/// one line wherever lines are counted.
pub(crate) fn data(value: &RawValue) -> Result<Data, Invalid> {
    let json = value.get();
    Data::parse(if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ") } else { json.to_owned() })
}

fn object<'a, T: Deserialize<'a>>(field: &'static str, value: &'a RawValue, expected: &str) -> Result<T, Invalid> {
    serde_json::from_str(value.get())
        .map_err(|error| Invalid::new(field, value.get(), format!("{expected} ({error})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> StreamId {
        StreamId::new("s1").expect("an id")
    }

    fn draft(json: &str) -> Draft {
        let fallback = SenderId::new("key/1").expect("an id");
        Input::parse(json).and_then(|input| input.into_draft(&session(), Some(fallback))).expect(json)
    }

    #[test]
    fn the_least_is_a_type() {
        let draft = draft(r#"{"type":"generation_started"}"#);
        assert_eq!((draft.kind.as_str(), draft.data.get()), ("generation_started", "{}"));
        assert_eq!(draft.subject.as_str(), "core.session.s1.generation_started");
        assert_eq!(draft.id, SenderId::new("key/1").ok());
        assert_eq!((draft.ts, draft.severity, draft.hops), (None, Severity::Info, 0));
    }

    #[test]
    fn every_key_comes_through() {
        let draft = draft(
            r#"{"id":"a","ts":"2025-10-16T09:53:31Z","session":"s1","seq":9,"observed":"x","subject":7,"offset":[],
                "type":"mine","severity":"loud","origin":{"service":"gen","host":"h"},"hops":2,
                "correlation_id":"018f3c5e-7b1a-7c3d-9e4f-0123456789ab",
                "trace":{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"},
                "data":{"big":123456789012345678901234567890, "a":1.10}}"#,
        );
        assert_eq!(draft.id, SenderId::new("a").ok());
        assert_eq!(draft.ts.map(|ts| ts.to_string()).as_deref(), Some("2025-10-16T09:53:31.000Z"));
        assert_eq!((draft.kind.as_str(), draft.severity.as_str(), draft.hops), ("mine", "loud", 2));
        assert_eq!((draft.origin.service.as_deref(), draft.origin.host.as_deref()), (Some("gen"), Some("h")));
        assert!(draft.correlation_id.is_some());
        assert_eq!(draft.trace.and_then(|trace| trace.span_id).as_deref(), Some("b7ad6b7169203331"));
        assert_eq!(draft.data.get(), r#"{"big":123456789012345678901234567890, "a":1.10}"#);
    }

    #[test]
    fn a_traceparent_names_the_span_that_the_sender_was_in() {
        let trace =
            draft(r#"{"type":"a","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#);
        let trace = trace.trace.expect("a trace");
        assert_eq!(trace.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((trace.span_id.as_deref(), trace.parent_id), (Some("b7ad6b7169203331"), None));
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        let draft =
            draft(r#"{"type":"a","data":null,"ts":null,"id":null,"origin":null,"trace":null,"session":null}"#);
        assert_eq!((draft.data.get(), draft.trace), ("{}", None));
    }

    #[test]
    fn a_payload_over_several_lines_becomes_one_line() {
        assert_eq!(draft("{\"type\":\"a\",\r\n\"data\":{\n\"a\":\r\n\"b\\n\"}}").data.get(), "{ \"a\":  \"b\\n\"}");
    }

    #[test]
    fn a_wrong_field_is_named() {
        let check = |json: &str, field: &str| {
            let made = Input::parse(json).and_then(|input| input.into_draft(&session(), None));
            assert_eq!(made.expect_err(json).field, field, "{json}");
        };
        for json in ["", "1", "[]", "null", "{", r#"{"type":"a"} x"#, r#"{"type":"a","type":"b"}"#] {
            check(json, "event");
        }
        check("{}", "type");
        check(r#"{"type":null}"#, "type");
        check(r#"{"type":7}"#, "type");
        check(r#"{"type":"Upper"}"#, "type");
        check(r#"{"type":"a","data":[]}"#, "data");
        check(r#"{"type":"a","data":"{}"}"#, "data");
        check(r#"{"type":"a","ts":"yesterday"}"#, "ts");
        check(r#"{"type":"a","ts":1}"#, "ts");
        check(r#"{"type":"a","id":""}"#, "id");
        check(r#"{"type":"a","id":7}"#, "id");
        check(r#"{"type":"a","severity":""}"#, "severity");
        check(r#"{"type":"a","severity":3}"#, "severity");
        check(r#"{"type":"a","origin":{"hsot":"h"}}"#, "origin");
        check(r#"{"type":"a","origin":"h"}"#, "origin");
        check(r#"{"type":"a","correlation_id":"x"}"#, "correlation_id");
        check(r#"{"type":"a","trace":{"trace_id":"0AF7651916CD43DD8448EB211C80319C"}}"#, "trace");
        check(r#"{"type":"a","trace":{"trace_id":"00000000000000000000000000000000"}}"#, "trace");
        check(r#"{"type":"a","trace":{}}"#, "trace");
        check(r#"{"type":"a","traceparent":"00-x"}"#, "traceparent");
        check(r#"{"type":"a","hops":9}"#, "hops");
        check(r#"{"type":"a","hops":-1}"#, "hops");
        check(r#"{"type":"a","session":"s2"}"#, "session");
        let long = format!(r#"{{"type":"a","data":{{"a":"{}"}}}}"#, "x".repeat(65_536));
        check(&long, "data");
    }

    #[test]
    fn a_key_that_nobody_knows_is_told() {
        for json in [r#"{"type":"a","dta":{}}"#, r#"{"type":"a","dta":null}"#] {
            let error = Input::parse(json).expect_err(json);
            assert_eq!((error.field, error.found.as_str()), ("event", "dta"));
        }
    }
}
