//! Messages of events that the log was not read for, which no test from outside could bring about in time.

use serde_json::json;

use super::*;
use crate::client::Client;

/// An event that happened at that time, in milliseconds.
fn logged(ts: i64) -> Logged {
    let time = Timestamp::from_millis(ts);
    let event = json!({
        "id": uuid::Uuid::nil(), "ts": time, "observed": time, "session": "proc-main-1", "seq": 1, "type": "started",
        "subject": "core.process.default.api.started", "severity": "info", "origin": {}, "data": {},
    });
    Logged { offset: 7, event: serde_json::from_value(event).expect("an event") }
}

/// What comes of two messages of one event.
fn check(since: Option<i64>, expected: &[Difference], alike: u64) {
    let reader = Reader::Daemon(Client::new("http://127.0.0.1:1", None).expect("a client"));
    let sink = JetStream::new(config::JetStream::default()).expect("good subjects");
    let progress = Progress { confirmed: Offset::MAX, letters: HashSet::new() };
    let since = since.map(Timestamp::from_millis);
    let mut audit = Audit::new(&reader, sink, progress, since, Summary::of("jetstream"));
    let (row, mut found) = (Row::new(logged(1000)), Vec::new());
    for _ in 0..2 {
        audit.unexpected(&row, &row.logged.event.published(), &mut |finding| found.push(finding.difference));
    }
    assert_eq!((found.as_slice(), audit.summary.alike), (expected, alike), "{since:?}");
}

#[test]
fn an_event_that_is_there_twice_is_extra_also_where_the_log_was_not_read_so_far() {
    check(None, &[Difference::Extra], 1);
    check(Some(1000), &[Difference::Extra], 1);
}

#[test]
fn an_event_from_before_the_time_that_was_asked_for_counts_nowhere() {
    check(Some(1001), &[], 0);
}
