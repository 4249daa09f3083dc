//! The log beside a stream of JetStream. Both have the order of commit, but for letters that were sent again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::{
    self, Message,
    consumer::{DeliverPolicy, pull},
    stream,
};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;

use super::log::Log;
use super::stray::Strays;
use super::{Brief, Difference, Error, Finding, MARGIN, Progress, Summary, content};
use crate::api::events::Row;
use crate::cause::chain;
use crate::client::Reader;
use crate::config;
use crate::consumer::starting_at;
use crate::event::{Logged, Offset, Timestamp};
use crate::nats::Connection;
use crate::sink::Sink;
use crate::sink::jetstream::JetStream;

/// The most events of the log that wait to be found in the stream: about 200 MB with the text of findings.
const MAX_OPEN: usize = 1_000_000;

/// How long the next message may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One comparison.
struct Audit<'a> {
    reader: &'a Reader,
    /// With the place of each event, and what is to be found of it.
    log: Log<'a, (Offset, Option<Open>)>,
    sink: JetStream,
    progress: Progress,
    /// Events that were committed before this need not be there any more.
    horizon: Timestamp,
    since: Option<Timestamp>,
    /// Events of the log that were not found yet.
    open: HashMap<String, Open>,
    /// The end of what was read of the log.
    read_to: Offset,
    /// Found before the log came to them.
    early: HashSet<String>,
    read_all: bool,
    summary: Summary,
    strays: Strays<'a>,
}

/// An event that was not found yet.
struct Open {
    offset: Offset,
    hash: u64,
    /// Whether its time there is over, so that it need not be found.
    expired: bool,
    brief: Brief,
}

/// As much of a message as tells what it is.
#[derive(Default, Deserialize)]
struct Published {
    #[serde(default)]
    session: String,
    #[serde(default)]
    seq: u64,
    #[serde(rename = "type", default)]
    kind: String,
}

/// Compares; `settings` is the sink of one stream, `since` when the events happened at the earliest.
///
/// # Errors
/// What keeps it from its end; what was told until then stands.
pub async fn jetstream(
    reader: &Reader,
    settings: &config::JetStream,
    since: Option<Timestamp>,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Summary, Error> {
    let failed = |message: String| Error::Stream { stream: settings.stream.clone(), message };
    let connection = Connection::open(&settings.nats).await?;
    let context = jetstream::new(connection.client.clone());
    let stream = context.get_stream(&settings.stream).await.map_err(|error| failed(chain(&error)))?;
    let sink = JetStream::new(settings.clone()).map_err(|error| failed(error.to_string()))?;
    let progress = Progress::read(reader, &settings.name).await?;
    let summary = Summary::of(&format!("jetstream {}", settings.stream));
    let mut audit = Audit::new(reader, sink, progress, since, summary);
    audit.horizon = audit.horizon.max(horizon(stream.cached_info()));
    if stream.cached_info().state.messages > 0 {
        // A message is no older than the commit of its event.
        let deliver_policy = since.map_or(DeliverPolicy::All, starting_at);
        let config = pull::OrderedConfig { deliver_policy, ..pull::OrderedConfig::default() };
        let consumer = stream.create_consumer(config).await;
        let consumer = consumer.map_err(|error| failed(chain(&error)))?;
        if consumer.cached_info().num_pending == 0 {
            return audit.finish(tell).await;
        }
        let mut messages = consumer.messages().await.map_err(|error| failed(chain(&error)))?;
        loop {
            let next = timeout(PATIENCE, messages.next()).await.map_err(|_| failed("no message in 30 s".into()))?;
            let Some(message) = next else { break };
            let message = message.map_err(|error| failed(chain(&error)))?;
            audit.take(&message, tell).await?;
            if message.info().map_err(|error| failed(error.to_string()))?.pending == 0 {
                break;
            }
        }
    }
    audit.finish(tell).await
}

/// From when on a stream should have everything.
fn horizon(info: &stream::Info) -> Timestamp {
    let stream::Config { max_age, max_messages, max_bytes, .. } = &info.config;
    let age = i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX);
    let by_age = match age {
        0 => Timestamp::from_millis(i64::MIN),
        _ => Timestamp::now().plus_millis(MARGIN - age),
    };
    let is_full = (*max_messages > 0 || *max_bytes > 0) && info.state.first_sequence > 1;
    let first = Timestamp::from_millis((info.state.first_timestamp.unix_timestamp_nanos() / 1_000_000) as i64);
    if is_full { by_age.max(first) } else { by_age }
}

impl<'a> Audit<'a> {
    /// One where everything should be there.
    fn new(
        reader: &'a Reader,
        sink: JetStream,
        progress: Progress,
        since: Option<Timestamp>,
        summary: Summary,
    ) -> Self {
        Self {
            reader,
            log: Log::new(reader, since),
            sink,
            progress,
            // Of what was committed before, only what happened later by a sender's clock that is ahead is looked for,
            // and its message is older than where the stream is read from.
            horizon: since.unwrap_or(Timestamp::from_millis(i64::MIN)),
            since,
            open: HashMap::new(),
            read_to: 0,
            early: HashSet::new(),
            read_all: false,
            summary,
            strays: Strays::new(reader),
        }
    }

    async fn take(&mut self, message: &Message, tell: &mut (dyn FnMut(Finding) + Send)) -> Result<(), Error> {
        let id = message.headers.as_ref().and_then(|headers| headers.get(NATS_MESSAGE_ID));
        let id = id.map_or("", |id| id.as_str());
        let payload = std::str::from_utf8(&message.payload).unwrap_or_default();
        while !self.open.contains_key(id) && !self.read_all && self.open.len() < MAX_OPEN {
            self.read_on().await?;
        }
        match self.open.remove(id) {
            Some(Open { hash, brief, .. }) => self.compare(hash, payload, &brief, tell),
            None => self.stray(id, payload, tell).await?,
        }
        Ok(())
    }

    fn compare(&mut self, hash: u64, payload: &str, brief: &Brief, tell: &mut (dyn FnMut(Finding) + Send)) {
        match hash == content::of_text(payload) {
            true => self.summary.alike += 1,
            false => self.summary.note(Difference::Different, brief, tell),
        }
    }

    /// A message that is not among those that the log was read for.
    async fn stray(
        &mut self,
        id: &str,
        payload: &str,
        tell: &mut (dyn FnMut(Finding) + Send),
    ) -> Result<(), Error> {
        let there = match id.parse() {
            Ok(id) => self.reader.event(id).await?,
            Err(_) => None,
        };
        if let Some(row) = there {
            self.unexpected(&row, payload, tell);
            return Ok(());
        }
        let Published { session, seq, kind } = serde_json::from_str(payload).unwrap_or_default();
        let brief = Brief { id: id.into(), session, seq, kind };
        match self.strays.judge(&brief).await? {
            Some(difference) => self.summary.note(difference, &brief, tell),
            None => self.summary.let_go += 1,
        }
        Ok(())
    }

    /// A message whose event is in the log.
    fn unexpected(&mut self, row: &Row, payload: &str, tell: &mut (dyn FnMut(Finding) + Send)) {
        let Logged { offset, event } = &row.logged;
        if self.since.is_some_and(|since| event.ts < since) {
            return;
        }
        let brief = Brief::of(event);
        if *offset < self.read_to || !self.early.insert(brief.id.clone()) {
            // It was found before.
            self.summary.note(Difference::Extra, &brief, tell);
        } else {
            self.compare(content::of_text(&row.published()), payload, &brief, tell);
        }
    }

    /// Reads the next window of the log.
    async fn read_on(&mut self) -> Result<(), Error> {
        let Self { log, sink, horizon, .. } = self;
        let window = log.window(|row| {
            let Logged { offset, event } = &row.logged;
            let open = || Open {
                offset: *offset,
                hash: content::of_text(&row.published()),
                expired: event.observed < *horizon,
                brief: Brief::of(event),
            };
            (*offset, sink.wants(event).then(open))
        });
        let window = window.await?;
        self.read_all = window.is_empty();
        for (_, (offset, open)) in window {
            self.read_to = offset + 1;
            if let Some(open) = open
                && !self.early.remove(&open.brief.id)
            {
                self.open.insert(open.brief.id.clone(), open);
            }
        }
        Ok(())
    }

    /// Judges what was not found, and reads the log to its end.
    async fn finish(mut self, tell: &mut (dyn FnMut(Finding) + Send)) -> Result<Summary, Error> {
        loop {
            let mut missing: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
            missing.sort_by_key(|open| open.offset);
            for Open { offset, expired, brief, .. } in missing {
                match &self.progress {
                    Progress { letters, .. } if letters.contains(&offset) => self.summary.dead_letters += 1,
                    Progress { confirmed, .. } if offset >= *confirmed => self.summary.waiting += 1,
                    _ if expired => {}
                    _ => self.summary.note(Difference::Missing, &brief, tell),
                }
            }
            if self.read_all {
                return Ok(self.summary);
            }
            self.read_on().await?;
        }
    }
}

#[cfg(test)]
mod tests;
