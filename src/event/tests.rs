//! The JSON of a stored session event, as the document of sessions asks for it.

use proptest::prelude::*;
use serde_json::Value;

use super::session::types;
use super::*;

/// A stored session event.
fn stored(kind: &str, data: &str, millis: i64) -> Event {
    let event = testing::event("0198a1b2-0000-7000-8000-00000000000a", kind);
    Event {
        id: Uuid::from_u128(7),
        ts: Timestamp::from_millis(millis),
        observed: Timestamp::from_millis(millis).plus_millis(2),
        subject: Subject::session(&event.session, &event.kind).expect("a subject"),
        severity: session::severity(kind, data),
        seq: 3,
        data: testing::data(data),
        ..event
    }
}

/// The types of the catalog with their examples, and one that nobody knows.
fn samples() -> Vec<Event> {
    let known = types().iter().map(|known| stored(known.name, known.example, 1_760_608_411_007));
    known
        .chain([stored(
            "tea_made",
            r#"{ "cups":3.10, "big":12345678901234567890123, "sorts":["é","\u00e9"] }"#,
            -1,
        )])
        .collect()
}

#[test]
fn event_serialization_to_valid_json() {
    for event in samples() {
        let json: Value = serde_json::from_str(&event.published()).expect("JSON");
        let data: Value = serde_json::from_str(event.data.get()).expect("JSON");
        assert_eq!(json["ts"], event.ts.to_string());
        assert_eq!(json["session"], event.session.as_str());
        assert_eq!(json["seq"], event.seq);
        assert_eq!(json["type"], event.kind.as_str());
        assert_eq!(json["data"], data);
    }
}

#[test]
fn event_deserialization_equivalence() {
    for event in samples() {
        assert_eq!(Event::from_published(&event.published()).expect("as published"), event);
        let canonical = serde_json::to_string(&event).expect("JSON");
        assert_eq!(serde_json::from_str::<Event>(&canonical).expect("as exported"), event);
    }
}

#[test]
fn unknown_types_and_fields_pass_through_untouched() {
    for event in samples() {
        assert!(event.published().contains(event.data.get()), "{}: byte for byte", event.kind);
        let more = event.published().replacen('{', r#"{"shape":{"of":["things to come"]},"#, 1);
        assert_eq!(Event::from_published(&more).expect("as published"), event);
        let more = serde_json::to_string(&event).expect("JSON").replacen('{', r#"{"shape":null,"#, 1);
        assert_eq!(serde_json::from_str::<Event>(&more).expect("as exported"), event);
    }
}

#[test]
fn a_timestamp_that_is_none_makes_no_event() {
    let json = stored("tea_made", "{}", 0).published();
    for wrong in ["yesterday", "1970-01-01", "1970-01-01T00:00:00", "1970-13-01T00:00:00.000Z"] {
        let json = json.replace("1970-01-01T00:00:00.000Z", wrong);
        let error = Event::from_published(&json).expect_err(wrong).to_string();
        assert!(error.contains("RFC 3339"), "{error}");
    }
}

proptest! {
    /// ISO 8601 with milliseconds, in UTC: 24 characters in the years that people use.
    #[test]
    fn timestamp_format_validation(millis in -62_135_596_800_000i64..253_402_207_200_000) {
        let json: Value = serde_json::from_str(&stored("tea_made", "{}", millis).published()).expect("JSON");
        let ts = json["ts"].as_str().expect("text");
        let shape: String = ts.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        prop_assert_eq!(shape, "0000-00-00T00:00:00.000Z");
        prop_assert_eq!(ts.parse::<Timestamp>().expect("a time").as_millis(), millis);
    }

    #[test]
    fn a_payload_of_any_text_and_number_comes_back_equal(text in ".{0,40}", number in any::<f64>(), whole in any::<i64>()) {
        let data = serde_json::json!({"text": text, "number": number, "whole": whole, text.clone(): [null, true]});
        let event = stored("tea_made", &data.to_string(), whole % 1_000_000_000);
        let back = Event::from_published(&event.published()).expect("as published");
        prop_assert_eq!(&back, &event);
        prop_assert_eq!(back.data.read::<Value>().expect("JSON"), data);
    }
}
