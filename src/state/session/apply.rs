//! One event at a time: which part of the state it changes.

use serde::Deserialize;

use super::bounded::{MAX_NAME, MAX_TEXT, cut, own};
use super::{Command, End, Fact, Failure, Fold, MAX_FAILURES, MAX_SEGMENTS, Segment, Status};
use crate::event::Timestamp;
use crate::event::session::{self, Text, kind};

/// The most arguments, and the most counts of a program's own, that are kept.
const MAX_LISTED: usize = 64;

/// A failure as an event tells of it.
#[derive(Default)]
pub(super) struct Failed<'a> {
    pub(super) node_id: Option<&'a str>,
    pub(super) path: Option<&'a str>,
    pub(super) error: Option<Text<'a>>,
    pub(super) error_type: Option<Text<'a>>,
}

impl Fold {
    pub(super) fn apply(&mut self, fact: &Fact<'_>) {
        self.seq = fact.seq;
        self.started.get_or_insert(fact.ts);
        self.updated = Some(self.updated.map_or(fact.ts, |last| last.max(fact.ts)));
        if let Some(recent) = self.recent.at(fact.ts) {
            recent.events += 1;
        }
        match fact.kind {
            kind::SESSION_STARTED => self.session_started(fact),
            kind::SESSION_ENDED => self.session_ended(fact),
            kind::SESSION_INTERRUPTED => self.session_interrupted(fact),
            kind::SESSION_RESUMED => self.session_resumed(fact),
            kind::INGEST_FAILED => self.ingest_failed(fact),
            kind::PLAN_CONSTRUCTED => self.plan_constructed(fact),
            kind::DESCENDANT_CHECK_STARTED => {
                let _marked: session::DescendantCheckStarted<'_> = self.read(fact);
                self.checks.started += 1;
            }
            kind::DESCENDANT_CHECK_PASSED => {
                let _marked: session::DescendantCheckPassed<'_> = self.read(fact);
                self.checks.passed += 1;
            }
            kind::DESCENDANT_CHECK_FAILED => {
                let _marked: session::DescendantCheckFailed<'_> = self.read(fact);
                self.checks.failed += 1;
            }
            kind::NODE_SKIPPED => self.node_skipped(fact),
            kind::GENERATION_STARTED => self.generation_started(fact),
            kind::LEVEL_STARTED => self.level_started(fact),
            kind::NODE_GENERATION_STARTED => self.node_started(fact),
            kind::NODE_GENERATION_COMPLETED => self.node_completed(fact),
            kind::NODE_GENERATION_FAILED => self.node_failed(fact),
            kind::LEVEL_COMPLETED => self.level_completed(fact),
            kind::GENERATION_COMPLETED => self.generation_completed(fact),
            kind::GENERATION_FAILED => self.generation_failed(fact),
            kind::REQUEST_ENQUEUED => self.request_enqueued(fact),
            kind::REQUEST_DEDUPLICATED => self.request_deduplicated(fact),
            kind::REQUEST_PROCESSING => self.request_processing(fact),
            kind::QUEUE_STATS => self.queue_stats(fact),
            kind::PROVIDER_REQUEST_SENT => self.provider_sent(fact),
            kind::PROVIDER_RESPONSE_RECEIVED => self.provider_answered(fact),
            kind::PROVIDER_REQUEST_FAILED => self.provider_failed(fact),
            kind::PROVIDER_REQUEST_RETRYING => self.provider_retrying(fact),
            kind::SCAN_STARTED => self.scan_started(fact),
            kind::SCAN_PROGRESS => self.scan_progress(fact),
            kind::SCAN_COMPLETED => self.scan_completed(fact),
            kind::WATCH_STARTED => self.watch_started(fact),
            kind::FILE_CHANGED => self.file_changed(fact),
            kind::BATCH_PROCESSED => self.batch_processed(fact),
            unknown => self.unknown.add(unknown),
        }
    }

    /// Reads the payload; fields of the wrong type are left out of it and marked.
    pub(super) fn read<'a, T: Deserialize<'a> + Default>(&mut self, fact: &Fact<'a>) -> T {
        let read = session::read(fact.data);
        for field in &read.wrong {
            self.wrong.add(&format!("{}.{field}", fact.kind));
        }
        read.value
    }

    pub(super) fn failure(&mut self, fact: &Fact<'_>, failed: Failed<'_>) {
        let text = |text: &str| cut(text, MAX_TEXT).to_owned();
        let failure = Failure {
            seq: fact.seq,
            at: fact.ts,
            kind: fact.kind.to_owned(),
            node_id: failed.node_id.map(|id| cut(id, MAX_NAME).to_owned()),
            path: failed.path.map(text),
            error: own(failed.error),
            error_type: own(failed.error_type),
        };
        self.failures.push(failure, MAX_FAILURES);
    }

    fn session_started(&mut self, fact: &Fact<'_>) {
        let data: session::SessionStarted<'_> = self.read(fact);
        let args = data.args.unwrap_or_default().into_iter().take(MAX_LISTED);
        self.command = Command {
            command: own(data.command),
            command_summary: own(data.command_summary),
            args: args.map(|arg| cut(&arg, MAX_TEXT).to_owned()).collect(),
            cwd: own(data.cwd),
            user: own(data.user),
            host: own(data.host),
            git_revision: own(data.git_revision),
            name: own(data.name),
            service: own(data.service),
        };
        self.begin_segment(1, fact.ts);
    }

    fn session_ended(&mut self, fact: &Fact<'_>) {
        let data: session::SessionEnded<'_> = self.read(fact);
        let failed = data.status.is_some_and(|status| &*status == "failed");
        self.status = if failed { Status::Failed } else { Status::Completed };
        self.ended = Some(fact.ts);
        let counts = data.counts.unwrap_or_default().into_iter().take(MAX_LISTED);
        if failed {
            self.failure(fact, Failed { error: data.error.clone(), ..Failed::default() });
        }
        self.end = Some(End {
            exit_code: data.exit_code,
            error: own(data.error),
            counts: counts.map(|(name, count)| (cut(&name, MAX_NAME).to_owned(), count)).collect(),
            closed: data.closed.unwrap_or_default(),
            reason: own(data.reason),
        });
        self.end_segment(fact.ts, None);
    }

    fn session_interrupted(&mut self, fact: &Fact<'_>) {
        let data: session::SessionInterrupted<'_> = self.read(fact);
        self.status = Status::Interrupted;
        let reason = own(data.reason).unwrap_or_default();
        self.end_segment(fact.ts, Some(reason));
    }

    fn session_resumed(&mut self, fact: &Fact<'_>) {
        let data: session::SessionResumed = self.read(fact);
        self.status = Status::Active;
        let next = self.segments.total() + 1;
        self.begin_segment(data.segment.unwrap_or(next), fact.ts);
    }

    fn ingest_failed(&mut self, fact: &Fact<'_>) {
        let data: session::IngestFailed<'_> = self.read(fact);
        self.status = Status::Failed;
        self.ingest_failed = true;
        self.failure(fact, Failed { error: data.error, ..Failed::default() });
    }

    fn begin_segment(&mut self, number: u64, start: Timestamp) {
        self.segments.push(Segment { number, start, end: None, interrupted: None }, MAX_SEGMENTS);
    }

    fn end_segment(&mut self, at: Timestamp, interrupted: Option<String>) {
        if let Some(segment) = self.segments.last_mut().filter(|segment| segment.end.is_none()) {
            segment.end = Some(at);
            segment.interrupted = interrupted;
        }
    }

    fn scan_started(&mut self, fact: &Fact<'_>) {
        let data: session::ScanStarted<'_> = self.read(fact);
        self.scan = super::Scan {
            scans: self.scan.scans + 1,
            path: own(data.path),
            started: Some(fact.ts),
            total_nodes: data.total_nodes,
            ..super::Scan::default()
        };
    }

    fn scan_progress(&mut self, fact: &Fact<'_>) {
        let data: session::ScanProgress = self.read(fact);
        self.scan.node_count = data.node_count.unwrap_or(self.scan.node_count);
        self.scan.total_nodes = data.total_nodes.or(self.scan.total_nodes);
    }

    fn scan_completed(&mut self, fact: &Fact<'_>) {
        let data: session::ScanCompleted = self.read(fact);
        self.scan.node_count = data.node_count.unwrap_or(self.scan.node_count);
        self.scan.total_nodes = data.total_nodes.or(self.scan.total_nodes);
        self.scan.duration_ms = data.duration_ms.or(self.scan.started.map(|start| between(start, fact.ts)));
        self.scan.ended = Some(fact.ts);
    }

    fn watch_started(&mut self, fact: &Fact<'_>) {
        let data: session::WatchStarted<'_> = self.read(fact);
        self.watch.path = own(data.path);
        self.watch.started = Some(fact.ts);
    }

    fn file_changed(&mut self, fact: &Fact<'_>) {
        let data: session::FileChanged<'_> = self.read(fact);
        self.watch.changes.add(data.kind.as_deref().unwrap_or("changed"));
        self.watch.last_path = own(data.path);
    }

    fn batch_processed(&mut self, fact: &Fact<'_>) {
        let data: session::BatchProcessed = self.read(fact);
        self.watch.batches += 1;
        self.watch.batched = self.watch.batched.saturating_add(data.event_count.unwrap_or_default());
        let affected = data.affected_nodes.unwrap_or_default();
        self.watch.affected_nodes = self.watch.affected_nodes.saturating_add(affected);
    }
}

/// Milliseconds from one time to another, none where it runs backwards.
pub(super) fn between(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.as_millis().saturating_sub(start.as_millis())).unwrap_or_default()
}
