//! The JSON of an event where others read it: on NATS and over HTTP.
//!
//! Each class keeps the keys that its users know, and the rest of the envelope stands beside them:
//!
//! | class | time | payload |
//! |---|---|---|
//! | process, source | `timestamp` | its keys at the top level |
//! | session | `ts` | `data` |
//! | hub, observer | `timestamp` | `payload` |

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::Error as _;
use serde_json::Error;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::{Class, Event, Origin, Severity, StreamId, Subject, Timestamp, Trace, is_zero};

type Object = BTreeMap<String, Box<RawValue>>;

/// The envelope's own keys, and the `offset` that the API puts before them: a process event's payload is what is
/// left when they are taken away, and no payload of a source of ours has one of them.
const ENVELOPE: [&str; 13] = [
    "id",
    "offset",
    "ts",
    "observed",
    "session",
    "seq",
    "type",
    "subject",
    "severity",
    "origin",
    "correlation_id",
    "trace",
    "hops",
];

fn names(class: Class) -> (&'static str, Option<&'static str>) {
    match class {
        Class::Process | Class::Source => ("timestamp", None),
        Class::Session => ("ts", Some("data")),
        Class::Hub | Class::Observer => ("timestamp", Some("payload")),
    }
}

/// The envelope, but for the time and the payload, whose keys differ.
#[derive(Serialize)]
struct Envelope<'a> {
    id: Uuid,
    session: &'a StreamId,
    seq: u64,
    subject: &'a Subject,
    severity: &'a Severity,
    observed: Timestamp,
    #[serde(skip_serializing_if = "Origin::is_empty")]
    origin: &'a Origin,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: &'a Option<Trace>,
    #[serde(skip_serializing_if = "is_zero")]
    hops: u8,
}

impl Event {
    /// The JSON under which the event is published.
    ///
    /// The payload is put in as the bytes that it has, so nothing in it is changed or parsed.
    pub fn published(&self) -> String {
        let (time, payload) = names(self.session.class());
        let envelope = Envelope {
            id: self.id,
            session: &self.session,
            seq: self.seq,
            subject: &self.subject,
            severity: &self.severity,
            observed: self.observed,
            origin: &self.origin,
            correlation_id: self.correlation_id,
            trace: &self.trace,
            hops: self.hops,
        };
        // Only strings and numbers: there is nothing in an envelope that could fail to be written.
        let envelope = serde_json::to_string(&envelope).unwrap_or_default();
        let envelope = envelope.get(1..envelope.len() - 1).unwrap_or_default();
        let head = format!(r#"{{"type":"{}","{time}":"{}",{envelope}"#, self.kind, self.ts);
        let data = self.data.get();
        match payload {
            Some(key) => format!(r#"{head},"{key}":{data}}}"#),
            None if data[1..].trim_start().starts_with('}') => head + "}",
            None => format!("{head},{}", &data[1..]),
        }
    }

    /// Reads an event as it was published.
    pub fn from_published(json: &str) -> Result<Self, Error> {
        let mut object: Object = serde_json::from_str(json)?;
        let session = object.get("session").ok_or_else(|| Error::missing_field("session"))?;
        let (time, payload) = names(serde_json::from_str::<super::StreamId>(session.get())?.class());
        rename(&mut object, time, "ts");
        match payload {
            Some(key) => rename(&mut object, key, "data"),
            None => {
                let (envelope, data): (Object, Object) =
                    object.into_iter().partition(|(key, _)| ENVELOPE.contains(&key.as_str()));
                object = envelope;
                object.insert("data".into(), to_raw_value(&data)?);
            }
        }
        serde_json::from_str(&serde_json::to_string(&object)?)
    }
}

fn rename(object: &mut Object, from: &str, to: &str) {
    if from != to
        && let Some(value) = object.remove(from)
    {
        object.insert(to.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, testing};

    fn event(session: &str, data: &str) -> Event {
        let time: Timestamp = "2025-10-16T09:53:31Z".parse().expect("a time");
        Event {
            id: "018f3c5e-7b1a-7c3d-9e4f-0123456789ab".parse().expect("a UUID"),
            ts: time,
            observed: time.plus_millis(7),
            seq: 3,
            subject: testing::subject("core.process.default.nats.started"),
            origin: testing::from_main(),
            trace: Some(Trace {
                trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
                span_id: None,
                parent_id: None,
            }),
            data: testing::data(data),
            ..testing::event(session, "started")
        }
    }

    fn check(session: &str, data: &str) -> serde_json::Value {
        let event = event(session, data);
        let json = event.published();
        assert_eq!(Event::from_published(&json).expect(&json), event);
        serde_json::from_str(&json).expect(&json)
    }

    #[test]
    fn each_class_has_the_keys_that_its_users_know() {
        let process =
            check("proc-main-1", r#"{"namespace":"default","process":"nats","state":{"is_ready":"Ready"}}"#);
        assert_eq!(process["process"], "nats");
        assert_eq!(process["timestamp"], "2025-10-16T09:53:31.000Z");
        assert_eq!(process["severity"], "info");
        assert_eq!(process["state"]["is_ready"], "Ready");
        let session = check("01JD", r#"{"a":1}"#);
        assert_eq!((&session["ts"], &session["data"]["a"]), (&"2025-10-16T09:53:31.000Z".into(), &1.into()));
        let hub = check("hub-project", r#"{"project_id":"123"}"#);
        assert_eq!((&hub["origin"]["source"], &hub["payload"]["project_id"]), (&"main".into(), &"123".into()));
        check("source-main", "{}");
    }

    #[test]
    fn what_nobody_here_knows_comes_back_as_it_was() {
        let mut event = event("01JD", r#"{"big":123456789012345678901234567890,"tiny":1.10,"new":{"b":1,"a":[]}}"#);
        event.kind = Kind::new("from_the_future").expect("a type");
        event.severity = Severity::from("catastrophic".to_owned());
        let back = Event::from_published(&event.published()).expect("published JSON");
        assert_eq!(back, event);
        let canonical = serde_json::to_string(&event).expect("JSON");
        assert_eq!(serde_json::from_str::<Event>(&canonical).expect("canonical JSON"), event);
    }
}
