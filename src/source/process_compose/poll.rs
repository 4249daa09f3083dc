//! The loop of one source: poll, compare, commit.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::clock::{Mark, boot};
use super::dependencies::{Dependencies, Set, list};
use super::diff::{Outcome, Poll, SETTLE, diff};
use super::ears::{self, Sound};
use super::hint::Hint;
use super::outage::Outage;
use super::record::Snapshot;
use super::replicas::Replicas;
use super::saved::Keys;
use super::submit::{Fares, Writer};
use super::{Failed, Status};
use crate::config::ProcessCompose;
use crate::event::Timestamp;
use crate::event::source::kind;
use crate::ingest::{self, Ingest};
use crate::process_compose::{Client, Error, Process, Project};
use crate::store::{self, Store, Submission};

/// A poll is tried so often when the supervisor answers 400, which it does while it scales or updates.
const TRIES: u32 = 3;

/// Between two attempts after ingest did not take the events.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// The source that watches one supervisor.
pub struct Source {
    settings: ProcessCompose,
    client: Client,
    store: Store,
    ingest: Ingest,
    boot: String,
    keys: Keys,
    writer: Writer,
    snapshot: Snapshot,
    hint: Hint,
    outage: Outage,
    replicas: Replicas,
    dependencies: Dependencies,
    last_sent: Option<u64>,
    last_sample: Option<Instant>,
    status: watch::Sender<Status>,
}

/// What a poll brought, and when it was sent.
struct Answer {
    processes: BTreeMap<String, Process>,
    project: Project,
    sent: Mark,
    seen: Mark,
    at: Timestamp,
}

impl Source {
    /// Makes one, and reads the last snapshot.
    ///
    /// # Errors
    /// The endpoint is none, or the store cannot be read.
    pub fn new(settings: ProcessCompose, store: Store, ingest: Ingest) -> Result<Self, Failed> {
        let client = Client::new(&settings.endpoint, settings.token.as_ref(), settings.timeout)?;
        let keys = Keys::new(&settings.name);
        let mut source = Self {
            writer: Writer::new(&settings),
            settings,
            client,
            store,
            ingest,
            boot: boot(),
            keys,
            snapshot: Snapshot::default(),
            hint: Hint::default(),
            outage: Outage::default(),
            replicas: Replicas::default(),
            dependencies: Dependencies::default(),
            last_sent: None,
            last_sample: None,
            status: watch::Sender::new(Status::Starting),
        };
        source.reload()?;
        Ok(source)
    }

    /// How it fares.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Polls until `shutdown`.
    ///
    /// # Errors
    /// Ingest has stopped, or the saved snapshot cannot be read.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Failed> {
        let (sounds, heard) = channel(ears::BACKLOG);
        let pause = (self.settings.poll_interval / 4).clamp(Duration::from_millis(5), Duration::from_secs(1));
        let listening = ears::listen(self.client.clone(), self.boot.clone(), pause, sounds);
        tokio::select! {
            ended = self.polls(heard) => ended,
            // It ends only after the polls have.
            () = listening => Ok(()),
            () = shutdown.cancelled() => Ok(()),
        }
    }

    async fn polls(&mut self, mut heard: Receiver<Sound>) -> Result<(), Failed> {
        self.settle().await?;
        let mut ticks = tokio::time::interval(self.settings.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(sound) = heard.recv() => self.hear(sound),
                _ = ticks.tick() => match self.fetch().await {
                    Ok(answer) => self.good(answer, &mut heard).await?,
                    Err(error) => self.bad(error).await?,
                },
            }
        }
    }

    fn hear(&mut self, sound: Sound) {
        match sound {
            Sound::Connected(millis) => self.hint.connected(millis),
            Sound::Frame(mut frame) => {
                self.rename_namespace(&mut frame.process);
                self.hint.hear(*frame);
            }
            Sound::Broken => self.hint.broken(),
        }
    }

    fn hear_all(&mut self, heard: &mut Receiver<Sound>) {
        while let Ok(sound) = heard.try_recv() {
            self.hear(sound);
        }
    }

    fn rename_namespace(&self, process: &mut Process) {
        if let Some(namespace) = &self.settings.namespace {
            process.namespaces = vec![namespace.clone()];
        }
    }

    fn mark(&self) -> Mark {
        Mark::now(&self.boot)
    }

    /// Both requests of a poll, by the same life of the supervisor.
    async fn fetch(&self) -> Result<Answer, Error> {
        let mut tries = 1;
        loop {
            match self.fetch_once().await {
                Err(error) if error.is_race() && tries < TRIES => tries += 1,
                answer => return answer,
            }
        }
    }

    async fn fetch_once(&self) -> Result<Answer, Error> {
        let sent = self.mark();
        let mut processes = self.client.processes().await?;
        let (seen, at) = (self.mark(), Timestamp::now());
        let project = self.client.project().await?;
        // The processes may be those of the supervisor before this one.
        let elapsed = seen.millis.saturating_sub(sent.millis);
        if project.up_time > 0 && project.up_time / 1_000_000 < i64::try_from(elapsed).unwrap_or(i64::MAX) {
            return Err(Error::BadRequest("it has just been started".into()));
        }
        processes.iter_mut().for_each(|process| self.rename_namespace(process));
        let processes = processes.into_iter().map(|process| (process.name.clone(), process)).collect();
        Ok(Answer { processes, project, sent, seen, at })
    }

    async fn good(&mut self, answer: Answer, heard: &mut Receiver<Sound>) -> Result<(), Failed> {
        self.tell_up().await?;
        self.replicas.see(&answer.processes);
        self.replicas.ask(&self.client, self.settings.timeout).await;
        self.hear_all(heard);
        let mut poll = self.look(answer);
        let mut outcome = diff(&self.snapshot, &self.hint, &poll);
        if outcome.is_ambiguous() && self.hint.is_live() {
            tokio::time::sleep(SETTLE).await;
            self.hear_all(heard);
            poll.settled = true;
            outcome = diff(&self.snapshot, &self.hint, &poll);
        }
        if outcome.unlisted > 0 {
            tracing::debug!(
                source = self.settings.name,
                unlisted = outcome.unlisted,
                "pairs of states in no table"
            );
        }
        if self.commit(&outcome).await? {
            self.status.send_replace(Status::Up);
            self.hint.used_before(poll.sent.millis);
            self.last_sent = Some(poll.sent.millis);
            self.snapshot = outcome.snapshot;
            self.list(&poll).await?;
            self.sample(&poll).await?;
        }
        Ok(())
    }

    fn look(&self, answer: Answer) -> Poll {
        let up = u64::try_from(answer.project.up_time / 1_000_000).unwrap_or(0);
        Poll {
            source: self.settings.name.clone(),
            life: answer.project.start_time.unwrap_or_default(),
            processes: answer.processes,
            replicas: self.replicas.known().clone(),
            at: answer.at,
            began: if up == 0 { 0 } else { answer.seen.millis.saturating_sub(up) },
            seen: answer.seen,
            sent: answer.sent,
            last_sent: self.last_sent,
            settled: false,
        }
    }

    /// Whether everything is durable. Where not, nothing is known but what the store says.
    async fn commit(&mut self, outcome: &Outcome) -> Result<bool, Failed> {
        for submission in self.writer.outcome(outcome, &self.snapshot) {
            if !self.submit(submission).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn submit(&mut self, submission: Submission) -> Result<bool, Failed> {
        let Err(error) = self.ingest.submit(submission).await else { return Ok(true) };
        if error == ingest::Error::Closed {
            return Err(Failed::Closed);
        }
        let status = Status::Failing(error.to_string());
        if self.status.send_replace(status.clone()) != status {
            tracing::warn!(
                source = self.settings.name,
                "events are not stored, the next poll tries again: {error}"
            );
        }
        tokio::time::sleep(AFTER_REFUSAL).await;
        self.settle().await.map(|()| false)
    }

    /// Reads the snapshot once nothing of ours is on its way into the store any more: what was handed to
    /// ingest is stored whether anybody waits for it or not.
    async fn settle(&mut self) -> Result<(), Failed> {
        loop {
            let flushed = self.ingest.flush().await;
            if flushed == Err(ingest::Error::Closed) {
                return Err(Failed::Closed);
            }
            // Without room nothing is on its way either.
            if matches!(flushed, Ok(()) | Err(ingest::Error::NoRoom(_))) {
                match self.reload() {
                    Err(Failed::Store(store::Error::Recovering(_) | store::Error::Io(_))) => {}
                    done => return done,
                }
            }
            tokio::time::sleep(AFTER_REFUSAL).await;
        }
    }

    fn reload(&mut self) -> Result<(), Failed> {
        let saved = self.keys.load(&self.store)?;
        self.snapshot = saved.snapshot;
        self.outage = Outage::resume(saved.down);
        self.dependencies.resume(saved.listed);
        Ok(())
    }

    async fn tell_up(&mut self) -> Result<(), Failed> {
        if let Some((down, failed_polls)) = self.outage.over() {
            let at = Timestamp::now();
            let down_ms = u64::try_from(at.as_millis() - down.since.as_millis()).ok();
            let fares = Fares { failed_polls, error: None, down_ms };
            let drafts = self.writer.fares(kind::SOURCE_UP, at, fares).into_iter().collect();
            let submission = Submission { writes: vec![self.keys.down(None)], ..Submission::events(drafts) };
            if !self.submit(submission).await? {
                return Ok(());
            }
            tracing::info!(source = self.settings.name, "the supervisor answers again");
        }
        self.outage.clear();
        Ok(())
    }

    /// A failed poll: the state is kept, and after some of them the source counts as down. A wrong token is
    /// no outage: the supervisor is there.
    async fn bad(&mut self, error: Error) -> Result<(), Failed> {
        let message = error.to_string();
        let status = match error {
            Error::Unauthorized => Status::Unauthorized(message.clone()),
            _ if self.outage.is_down() => Status::Down(message.clone()),
            _ => Status::Failing(message.clone()),
        };
        let news = self.status.send_replace(status.clone()) != status;
        match status {
            Status::Unauthorized(_) if news => tracing::error!(source = self.settings.name, "{message}"),
            _ if news => tracing::warn!(source = self.settings.name, "a poll failed: {message}"),
            _ => {}
        }
        if error == Error::Unauthorized {
            return Ok(());
        }
        let at = Timestamp::now();
        let Some(down) = self.outage.failed(at, self.settings.down_after) else { return Ok(()) };
        let fares = Fares { failed_polls: down.failed_polls, error: Some(message.clone()), down_ms: None };
        let drafts = self.writer.fares(kind::SOURCE_DOWN, at, fares).into_iter().collect();
        let writes = vec![self.keys.down(Some(&down))];
        if self.submit(Submission { writes, ..Submission::events(drafts) }).await? {
            self.outage.told(down);
            self.status.send_replace(Status::Down(message));
        }
        Ok(())
    }

    /// Which process waits for which, when the set of processes is a new one.
    async fn list(&mut self, poll: &Poll) -> Result<(), Failed> {
        let set = Set::of(poll.life, &poll.processes);
        let Some(graph) = self.dependencies.ask(&self.client, &set).await else { return Ok(()) };
        let drafts = self.writer.dependencies(list(&poll.processes, graph), poll.life, poll.at);
        let last = drafts.len().saturating_sub(1);
        for (at, draft) in drafts.into_iter().enumerate() {
            // Told of only with its last part.
            let writes = if at == last { vec![self.keys.listed(&set)] } else { Vec::new() };
            if !self.submit(Submission { writes, ..Submission::events(vec![draft]) }).await? {
                return Ok(());
            }
        }
        self.dependencies.told(set);
        Ok(())
    }

    /// Cpu and memory, when it is time.
    async fn sample(&mut self, poll: &Poll) -> Result<(), Failed> {
        let Some(interval) = self.settings.sample_interval else { return Ok(()) };
        if self.last_sample.is_some_and(|last| last.elapsed() < interval) {
            return Ok(());
        }
        self.last_sample = Some(Instant::now());
        let processes: Vec<&Process> = poll.processes.values().collect();
        for draft in self.writer.sample(&processes, &self.snapshot, poll.at) {
            if !self.submit(Submission::events(vec![draft])).await? {
                break;
            }
        }
        Ok(())
    }
}
