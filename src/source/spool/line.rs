//! The lines of a spool file: how the session began, its events, how it ended. Pure.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{Data, Invalid, StreamId, Timestamp};
use crate::session::End;

/// What a session begins with, as it is written down or sent. With an id and a time, it may be sent again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Its id; the daemon makes one where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<StreamId>,
    /// When it began; else when it is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<Timestamp>,
    /// The W3C trace context of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The data of `session_started`.
    pub metadata: Data,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// The session begins.
    Start(Start),
    /// It ends.
    End(End),
    /// An event, as a sender writes it.
    Event(String),
}

impl Line {
    /// Reads one: an object with the only key `start` or `end`, else an event, which is not looked into.
    ///
    /// # Errors
    /// The field that is not as it has to be.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        #[derive(Deserialize)]
        struct Marks<'a> {
            #[serde(borrow)]
            start: Option<&'a RawValue>,
            #[serde(borrow)]
            end: Option<&'a RawValue>,
        }
        let marks: Marks<'_> = serde_json::from_str(text)
            .map_err(|error| Invalid::new("line", text, format!("a JSON object ({error})")))?;
        match marks {
            Marks { start: Some(start), end: None } => part("start", start).map(Self::Start),
            Marks { start: None, end: Some(end) } => part("end", end).map(Self::End),
            _ => Ok(Self::Event(text.to_owned())),
        }
    }

    /// As it stands in the file, without a line break in it.
    pub fn write(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "lowercase")]
        enum Mark<'a> {
            Start(&'a Start),
            End(&'a End),
        }
        let mark = match self {
            Self::Event(event) => return event.replace(['\n', '\r'], " "),
            Self::Start(start) => Mark::Start(start),
            Self::End(end) => Mark::End(end),
        };
        // Texts, numbers and a JSON object: there is nothing that could fail to be written.
        serde_json::to_string(&mark).unwrap_or_default().replace(['\n', '\r'], " ")
    }
}

fn part<'a, T: Deserialize<'a>>(field: &'static str, value: &'a RawValue) -> Result<T, Invalid> {
    serde_json::from_str(value.get()).map_err(|error| Invalid::new(field, value.get(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_read_as_it_was_written() {
        let start = Start {
            id: StreamId::new("build-17").ok(),
            ts: Some(Timestamp::from_millis(1_760_608_411_000)),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            metadata: Data::parse("{\"command\":\n\"make\"}".into()).expect("an object"),
        };
        let written = Line::Start(start.clone()).write();
        assert!(!written.contains('\n'), "{written}");
        let Ok(Line::Start(read)) = Line::parse(&written) else { panic!("{written}") };
        assert_eq!((&read.id, read.ts, &read.traceparent), (&start.id, start.ts, &start.traceparent));
        let end = Line::End(End { exit_code: Some(3), ..End::failed("it broke") });
        assert_eq!(Line::parse(&end.write()), Ok(end));
        for event in [r#"{"type":"a","data":{"start":{}}}"#, r#"{"id":"x","type":"end"}"#] {
            assert_eq!(Line::parse(event), Ok(Line::Event(event.into())), "{event}");
        }
    }

    #[test]
    fn a_wrong_line_names_its_field() {
        let check = |text: &str, field: &str| assert_eq!(Line::parse(text).expect_err(text).field, field, "{text}");
        for text in ["", "x", "[]", "7", r#"{"type":"#] {
            check(text, "line");
        }
        check(r#"{"start":{"id":"a.b","metadata":{}}}"#, "start");
        check(r#"{"start":{"metadata":[]}}"#, "start");
        check(r#"{"end":{"status":"great"}}"#, "end");
    }
}
