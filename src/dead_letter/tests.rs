//! Letters of both kinds, as they are stored and as a person handles them.

use super::*;
use crate::event::{Data, Kind as Type, Severity, StreamId, Subject};

fn late_event() -> DeadLetter {
    let (session, kind) = (StreamId::new("build-17").expect("an id"), Type::new("scan_started").expect("a type"));
    let subject = Subject::session(&session, &kind).expect("a subject");
    let data = Data::parse(r#"{"path":"src"}"#.into()).expect("an object");
    late(&Draft::new(session, kind, subject, Severity::Info, data), Timestamp::from_millis(5))
}

#[test]
fn a_letter_of_the_first_format_is_read() {
    let store = Store::memory();
    let event = serde_json::to_string(&late_event().event).expect("JSON");
    let id = "019a0c3e-7b1a-7c3d-9e4f-0123456789ab";
    let stored = format!(
        r#"{{"id":"{id}","kind":"delivery","sink":"jetstream","offset":7,"event":{event},"reason":"no",
            "time":"2026-01-31T12:00:00.000Z","attempts":2}}"#
    );
    store.put_durable(&[Write::put(Tree::DeadLetters, id, stored)]).expect("room");
    let letter = show(&store, id.parse().expect("a UUID")).expect("it is there");
    assert_eq!((letter.kind, letter.sink.as_deref(), letter.offset), (Kind::Delivery, Some("jetstream"), Some(7)));
    retry(&store, letter.id).expect("it was for a sink");
    assert_eq!(due(&store, "jetstream").expect("readable").len(), 1);
}

#[test]
fn a_late_event_is_kept_without_a_place_and_can_only_be_discarded() {
    let store = Store::memory();
    let letter = late_event();
    store.put_durable(&[keep(&letter)]).expect("room");
    let all = list(&store, &Filter { kind: Some(Kind::Late), sink: None }, None, 10).expect("readable").letters;
    assert_eq!(all, std::slice::from_ref(&letter));
    assert_eq!(
        (letter.offset, letter.event.seq, letter.reason.as_str()),
        (None, 0, "the session build-17 had ended")
    );
    let error = retry(&store, letter.id).expect_err("it would be refused again").to_string();
    assert!(error.contains("can only be discarded"), "{error}");
    assert_eq!(retry_all(&store, &Filter::default()).expect("readable"), 0);
    let counts = stats(&store).expect("readable");
    assert_eq!((counts.len(), counts[0].kind, counts[0].letters, &counts[0].sink), (1, Kind::Late, 1, &None));
    discard(&store, letter.id).expect("it is there");
    assert!(matches!(show(&store, letter.id), Err(Error::NotFound(_))));
}
