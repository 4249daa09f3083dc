//! Changes as submissions to ingest: the events of a process and its record in one commit.

use std::sync::Arc;

use serde::Serialize;

use super::diff::{Group, Outcome};
use super::record::Snapshot;
use super::saved::Keys;
use super::walk::Change;
use crate::config::{Endpoint, ProcessCompose};
use crate::event::process::{DependenciesData, Listed, ResourcesData, Usage, kind};
use crate::event::source::SourceData;
use crate::event::{Data, Draft, Invalid, Kind, Origin, Severity, StreamId, Subject, Timestamp};
use crate::process_compose::Process;
use crate::store::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Submission};

/// The most bytes that the processes of one event about all of them take: an event under 6 KB is one record.
const MAX_PART_BYTES: usize = 5000;

/// Writes what a poll told as submissions: what every event of one source has in common.
pub struct Writer {
    source: String,
    prefix: String,
    url: String,
    origin: Origin,
    keys: Keys,
}

impl Writer {
    /// For a source with these settings.
    pub fn new(settings: &ProcessCompose) -> Self {
        let (url, host) = match &settings.endpoint {
            Endpoint::Url(url) => (plain(url), remote_host(url)),
            Endpoint::Socket(path) => (format!("unix:{}", path.display()), None),
        };
        let host = host.or_else(|| rustix::system::uname().nodename().to_str().ok().map(str::to_owned));
        let origin =
            Origin { source: Some(settings.name.as_str().into()), host: host.map(Arc::from), ..Origin::default() };
        let (source, prefix) = (settings.name.clone(), settings.subject_prefix.clone());
        Self { keys: Keys::new(&source), source, prefix, url, origin }
    }

    /// Everything that a poll told, split by process where it is too much for one commit. The life of the
    /// supervisor is written last, so that what is missing after a crash is a baseline still.
    pub fn outcome(&self, outcome: &Outcome, last: &Snapshot) -> Vec<Submission> {
        let mut all = vec![Submission::default()];
        for group in &outcome.groups {
            let part = self.group(group);
            let open = all.last_mut().filter(|open| {
                let events = open.drafts.len() + part.drafts.len();
                events <= MAX_BATCH_EVENTS && open.size() + part.size() <= MAX_BATCH_BYTES - 1000
            });
            match open {
                Some(open) => {
                    open.drafts.extend(part.drafts);
                    open.writes.extend(part.writes);
                }
                None => all.push(part),
            }
        }
        if let (Some(open), Some(life)) = (all.last_mut(), outcome.snapshot.life.filter(|l| last.life != Some(*l)))
        {
            open.writes.push(self.keys.life(life));
        }
        all.retain(|submission| !submission.drafts.is_empty() || !submission.writes.is_empty());
        for submission in &mut all {
            submission.drafts.sort_by_key(|draft| draft.ts);
        }
        all
    }

    fn group(&self, group: &Group) -> Submission {
        let drafts = group.changes.iter().filter_map(|change| self.kept(self.change(change), &change.data.process));
        let records = group.records.iter().map(|(name, record)| self.keys.record(name, record.as_ref()));
        Submission { writes: records.collect(), ..Submission::events(drafts.collect()) }
    }

    fn change(&self, change: &Change) -> Result<Draft, Invalid> {
        let kind = Kind::new(change.kind)?;
        let subject = Subject::process(&self.prefix, &change.data.namespace, &change.data.process, &kind)?;
        let session = StreamId::process(&self.source, change.life)?;
        let data = Data::from_value(&change.data)?;
        self.draft(session, kind, subject, change.severity.clone(), change.ts, data)
    }

    /// One sample of all processes, in parts. The processes stand in the order of their names.
    pub(super) fn sample(&self, processes: &[&Process], last: &Snapshot, at: Timestamp) -> Vec<Draft> {
        let Some(life) = last.life else { return Vec::new() };
        let usage = |process: &&Process| Usage {
            process: process.name.clone(),
            namespace: process.namespace().to_owned(),
            run_id: last.records.get(&process.name).and_then(|record| Some(record.run.as_ref()?.id)),
            mem: process.mem,
            cpu: process.cpu,
        };
        let size = |usage: &Usage| 110 + usage.process.len() + usage.namespace.len();
        let (parts, count) = parts(processes.iter().map(usage), size);
        let drafts = (1..).zip(parts).map(|(part, processes)| ResourcesData {
            source: self.source.clone(),
            sample: at.as_millis(),
            part,
            parts: count,
            processes,
        });
        let draft = |data| self.kept(self.of_all(kind::RESOURCES_SAMPLED, &data, life, at), "a sample");
        drafts.filter_map(draft).collect()
    }

    /// Which process waits for which, in parts.
    pub(super) fn dependencies(&self, processes: Vec<Listed>, life: Timestamp, at: Timestamp) -> Vec<Draft> {
        let size = |listed: &Listed| {
            let on = listed.depends_on.iter().map(|on| 32 + on.process.len() + on.condition.len()).sum::<usize>();
            80 + listed.process.len() + listed.namespace.len() + listed.status.len() + on
        };
        let (parts, count) = parts(processes, size);
        let drafts = (1..).zip(parts).map(|(part, processes)| DependenciesData {
            source: self.source.clone(),
            listing: at.as_millis(),
            part,
            parts: count,
            processes,
        });
        let draft = |data| self.kept(self.of_all(kind::DEPENDENCIES_LISTED, &data, life, at), "a listing");
        drafts.filter_map(draft).collect()
    }

    fn of_all(&self, kind: &str, data: &impl Serialize, life: Timestamp, at: Timestamp) -> Result<Draft, Invalid> {
        let kind = Kind::new(kind)?;
        // Of the project, not of a process: one token less than theirs.
        let subject = Subject::from_names(&self.prefix, [self.source.as_str(), kind.as_str()])?;
        let session = StreamId::process(&self.source, life)?;
        self.draft(session, kind, subject, Severity::Debug, at, Data::from_value(data)?)
    }

    /// `source_down` or `source_up`.
    pub(super) fn fares(&self, kind: &str, at: Timestamp, tell: Fares) -> Option<Draft> {
        let severity = if tell.error.is_some() { Severity::Error } else { Severity::Info };
        let data = SourceData {
            source: self.source.clone(),
            url: self.url.clone(),
            failed_polls: tell.failed_polls,
            error: tell.error,
            down_ms: tell.down_ms,
        };
        let draft = || {
            let kind = Kind::new(kind)?;
            let subject = Subject::source(&self.source, &kind)?;
            let session = StreamId::source(&self.source)?;
            self.draft(session, kind, subject, severity, at, Data::from_value(&data)?)
        };
        self.kept(draft(), &self.source)
    }

    fn draft(
        &self,
        session: StreamId,
        kind: Kind,
        subject: Subject,
        severity: Severity,
        ts: Timestamp,
        data: Data,
    ) -> Result<Draft, Invalid> {
        let mut draft = Draft::new(session, kind, subject, severity, data);
        draft.ts = Some(ts);
        draft.origin = self.origin.clone();
        draft.validate()?;
        Ok(draft)
    }

    /// A name that no event can carry must not hold up the events of all other processes.
    fn kept(&self, draft: Result<Draft, Invalid>, of: &str) -> Option<Draft> {
        draft.inspect_err(|e| tracing::error!(source = self.source, of, "an event that cannot be: {e}")).ok()
    }
}

/// Splits so that no part is too large, and tells how many there are: one at least.
fn parts<T>(all: impl IntoIterator<Item = T>, size: impl Fn(&T) -> usize) -> (Vec<Vec<T>>, u32) {
    let mut parts = vec![Vec::new()];
    let mut sum = 0;
    for one in all {
        let bytes = size(&one);
        match parts.last_mut().filter(|part| part.is_empty() || sum + bytes <= MAX_PART_BYTES) {
            Some(part) => part.push(one),
            None => {
                sum = 0;
                parts.push(vec![one]);
            }
        }
        sum += bytes;
    }
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    (parts, count)
}

/// What a source tells of itself.
#[derive(Debug, Default)]
pub(super) struct Fares {
    pub(super) failed_polls: u32,
    pub(super) error: Option<String>,
    pub(super) down_ms: Option<u64>,
}

/// A URL without what may be secret in it.
fn plain(url: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(url) else { return String::new() };
    // Fails only where there is no host, and then there is no secret either.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.to_string()
}

/// The host of a URL, unless it is this one.
fn remote_host(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    (!local).then(|| host.to_owned())
}
