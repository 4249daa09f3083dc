//! A time in which commits fail: which sessions were refused meanwhile, and when that is told on them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::event::session::{self, IngestFailed, kind};
use crate::event::{Class, Data, Draft, Invalid, SenderId, StreamId, Timestamp};

/// The most sessions that are told of in one outage.
const MAX_SESSIONS: usize = 10_000;

/// The outage that there is, if there is one: it begins with a commit that fails, and ends with one that is durable.
pub(super) struct Outage {
    /// Once it has lasted so long, sessions are failed by it.
    after: Duration,
    began: Option<(Instant, Timestamp)>,
    error: String,
    /// The sessions that were refused something, with how many events.
    refused: HashMap<StreamId, u64>,
}

impl Outage {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, began: None, error: String::new(), refused: HashMap::new() }
    }

    /// A commit has failed, with events of these streams.
    pub(super) fn failed<'a>(
        &mut self,
        error: &str,
        streams: impl IntoIterator<Item = &'a StreamId>,
        now: (Instant, Timestamp),
    ) {
        self.began.get_or_insert(now);
        error.clone_into(&mut self.error);
        for stream in streams {
            if let Some(count) = self.refused.get_mut(stream) {
                *count += 1;
            } else if stream.class() == Class::Session && self.refused.len() < MAX_SESSIONS {
                self.refused.insert(stream.clone(), 1);
            }
        }
    }

    /// A commit is durable.
    pub(super) fn over(&mut self) {
        if self.began.take().is_some() {
            self.refused.clear();
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.began.is_some()
    }

    /// The events that tell the sessions of it, once it has lasted long enough.
    pub(super) fn due(&self, now: Instant) -> Vec<Draft> {
        let Some((began, since)) = self.began else { return Vec::new() };
        let lasted = now.saturating_duration_since(began);
        if lasted < self.after {
            return Vec::new();
        }
        // Told twice of one outage, a session has it once.
        let id = format!("{}:{}", kind::INGEST_FAILED, since.as_millis());
        let draft = |(session, refused): (&StreamId, &u64)| {
            let failed = IngestFailed {
                error: Some(self.error.as_str().into()),
                since: Some(since.to_string().into()),
                failing_ms: u64::try_from(lasted.as_millis()).ok(),
                refused: Some(*refused),
            };
            draft(session, &id, &failed)
        };
        let drafts = self.refused.iter().map(draft);
        drafts
            .filter_map(|draft| draft.inspect_err(|error| tracing::error!(%error, "ingest_failed")).ok())
            .collect()
    }
}

fn draft(session: &StreamId, id: &str, failed: &IngestFailed<'_>) -> Result<Draft, Invalid> {
    let draft = session::draft(session, kind::INGEST_FAILED, Data::from_value(failed)?)?;
    Ok(Draft { id: Some(SenderId::new(id)?), ..draft })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: &str) -> StreamId {
        StreamId::new(id).expect("an id")
    }

    fn told(outage: &Outage, now: Instant) -> Vec<(String, String)> {
        let drafts = outage.due(now).into_iter();
        let mut told: Vec<_> = drafts.map(|d| (d.session.to_string(), d.data.get().to_owned())).collect();
        told.sort();
        told
    }

    #[test]
    fn sessions_are_told_once_it_has_lasted_and_only_those_that_were_refused() {
        let (start, ts) = (Instant::now(), Timestamp::from_millis(0));
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut outage = Outage::new(Duration::from_secs(60));
        outage.failed("disk", [&id("a"), &id("b"), &id("a"), &id("proc-x-1")], (start, ts));
        outage.failed("full", [&id("b")], (after(30), ts.plus_millis(30_000)));
        assert_eq!(told(&outage, after(59)), []);
        let data = r#"{"error":"full","since":"1970-01-01T00:00:00.000Z","failing_ms":61000,"refused":2}"#;
        assert_eq!(told(&outage, after(61)), [("a".into(), data.into()), ("b".into(), data.into())]);
        outage.over();
        assert!(!outage.is_on() && told(&outage, after(61)).is_empty());
    }

    #[test]
    fn a_commit_in_between_makes_it_two_outages() {
        let (start, ts) = (Instant::now(), Timestamp::from_millis(0));
        let mut outage = Outage::new(Duration::from_secs(60));
        outage.failed("disk", [&id("a")], (start, ts));
        outage.over();
        let later = start + Duration::from_secs(50);
        outage.failed("disk", [&id("b")], (later, ts));
        assert_eq!(told(&outage, start + Duration::from_secs(100)), []);
        let told: Vec<_> = told(&outage, later + Duration::from_secs(60)).into_iter().map(|(id, _)| id).collect();
        assert_eq!(told, ["b"]);
    }

    #[test]
    fn so_many_sessions_and_no_more_are_remembered() {
        let mut outage = Outage::new(Duration::ZERO);
        let ids: Vec<StreamId> = (0..=MAX_SESSIONS).map(|n| id(&format!("s{n}"))).collect();
        outage.failed("disk", &ids, (Instant::now(), Timestamp::from_millis(0)));
        assert_eq!(outage.due(Instant::now()).len(), MAX_SESSIONS);
    }
}
