//! The writer's thread: takes batches from the bus, applies them, and looks after the store.

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::bus::{Bus, Item, Taken};
use super::ingestor::{Applied, Common, Message, Waiting};
use super::late::Late;
use super::meter::Begun;
use super::pruning::Pruning;
use crate::event::Timestamp;
use crate::store::{self, Flusher, MAX_BATCH_EVENTS, Outcome, Submission, Writer};

/// The writer looks this often whether there is something to trim.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// With nothing to write, it looks this often whether the store is well and has room.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// After a failed attempt to open the store again, the next one waits so long.
const REOPEN_EVERY: Duration = Duration::from_millis(500);
/// While sessions are being pruned, the next piece waits so long where nothing is written.
const PRUNE_ON: Duration = Duration::from_millis(2);

/// The writer's thread.
pub(super) struct Writing {
    pub(super) writer: Writer,
    pub(super) flusher: Flusher,
    pub(super) hand: SyncSender<Message>,
    pub(super) common: Arc<Common>,
    pub(super) bus: Arc<Bus>,
    pub(super) late: Late,
    /// Why the handle is lost, and when opening another one was last tried.
    pub(super) broken: Option<(String, Option<Instant>)>,
    pub(super) pruning: Pruning,
}

impl Writing {
    pub(super) fn run(mut self) {
        let mut trimmed = Instant::now();
        loop {
            let wait = match &self.broken {
                Some(_) => REOPEN_EVERY,
                None if self.writer.is_pruning() => PRUNE_ON,
                None => CHECK_EVERY,
            };
            let taken = self.bus.take(wait);
            self.look_after();
            match taken {
                Taken::Batch(items) => {
                    self.tell_outage();
                    self.write(items);
                }
                // Who asks for the store's health learns it from there, also while nobody sends.
                Taken::Nothing if self.broken.is_none() => self.look_at_room(),
                Taken::Nothing => {}
                Taken::Closed => return,
            }
            if self.broken.is_none() && (trimmed.elapsed() >= TRIM_EVERY || self.writer.wants_trim()) {
                trimmed = Instant::now();
                self.trim();
            }
            if self.broken.is_none() {
                self.prune();
            }
        }
    }

    /// Opens the store again where that is due.
    fn look_after(&mut self) {
        let failed = self.common.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.broken.is_none() {
            self.broken = failed.or_else(|| self.writer.lost()).map(|reason| (reason, None));
        }
        let Some((reason, tried)) = &mut self.broken else { return };
        // What was applied on the lost handle is answered by that handle: on the next one a flush would go
        // well, whatever became of it.
        let unanswered = self.common.handed.load(Ordering::Acquire) > 0;
        if unanswered || tried.is_some_and(|tried| tried.elapsed() < REOPEN_EVERY) {
            return;
        }
        *tried = Some(Instant::now());
        match self.writer.recover(reason) {
            Ok(()) => {
                tracing::warn!(%reason, "the store was opened again after an I/O error");
                self.broken = None;
                *self.common.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.hand(Message::Recovered);
            }
            Err(error) => tracing::error!(%error, "the store cannot be opened again yet"),
        }
    }

    /// While nobody sends: whether there is room, and whether an outage is over.
    fn look_at_room(&mut self) {
        let room = self.writer.check_room().is_ok();
        if room && self.common.outage().is_on() && self.common.handed.load(Ordering::Acquire) == 0 {
            self.tell_outage();
            self.flush(&[]);
        }
    }

    /// Tells the sessions of an outage that has lasted long, if the store takes that.
    fn tell_outage(&mut self) {
        if self.broken.is_some() {
            return;
        }
        let drafts = self.common.outage().due(Instant::now());
        let told: Vec<_> = drafts.into_iter().map(|draft| Submission::events(vec![draft])).collect();
        for told in told.chunks(MAX_BATCH_EVENTS) {
            match self.writer.apply(told) {
                // One that has ended, or never began, need not know.
                Ok(_) => {}
                Err(store::Error::NoRoom(_)) => return,
                Err(error) => return self.broken = Some((error.to_string(), None)),
            }
        }
        if !told.is_empty() {
            tracing::error!(sessions = told.len(), "commits had failed for long: these sessions are failed");
            self.flush(&[]);
        }
    }

    /// Makes durable what was applied, these batches among it; whether that went well.
    fn flush(&mut self, begun: &[Begun]) -> Option<store::Error> {
        let end = self.writer.next_offset();
        let failed = self.flusher.flush(end).err();
        match &failed {
            None => {
                self.common.outage().over();
                self.common.meter.durable(end, begun);
            }
            Some(error) => self.broken = Some((error.to_string(), None)),
        }
        failed
    }

    fn write(&mut self, items: Vec<Item>) {
        if let Some((reason, _)) = &self.broken {
            return self.refuse(items, &Error::Recovering(reason.clone()));
        }
        let items = self.in_order(items);
        let (from, at) = (self.writer.next_offset(), Instant::now());
        let (submissions, answers): (Vec<_>, Vec<_>) = items.into_iter().map(|i| (i.submission, i.answer)).unzip();
        match self.writer.apply(&submissions) {
            Ok(outcomes) => {
                self.keep_late(&submissions, &outcomes);
                let streams = submissions.iter().map(|submission| Some(submission.drafts.first()?.session.clone()));
                let applied = answers.into_iter().zip(outcomes).zip(streams);
                let applied = applied.map(|((answer, outcome), stream)| Applied { answer, outcome, stream });
                let events = self.writer.next_offset() - from;
                self.applied(Begun { events, at }, applied.collect());
            }
            Err(error) => {
                if !matches!(error, store::Error::NoRoom(_)) {
                    self.broken = Some((error.to_string(), None));
                }
                let error = Error::from(error);
                self.failed(&error, &submissions);
                answers.into_iter().for_each(|answer| self.common.give(answer, Err(error.clone())));
            }
        }
    }

    /// Keeps what came too late beside the batch that it came with.
    fn keep_late(&mut self, submissions: &[Submission], outcomes: &[Outcome]) {
        let writes = self.late.letters(submissions, outcomes);
        if writes.is_empty() {
            return;
        }
        if let Err(error) = self.writer.apply(&[Submission { writes, ..Submission::default() }]) {
            tracing::error!(%error, "late events are not kept");
            if !matches!(error, store::Error::NoRoom(_)) {
                self.broken = Some((error.to_string(), None));
            }
        }
    }

    fn applied(&mut self, begun: Begun, waiting: Waiting) {
        // With nothing else to do, the way over the other thread would only cost time.
        if self.common.handed.load(Ordering::Acquire) > 0 || !self.bus.is_empty() {
            return self.hand(Message::Applied(self.writer.next_offset(), begun, waiting));
        }
        let failed = self.flush(&[begun]);
        self.common.answer(waiting, failed);
    }

    fn failed(&self, error: &Error, submissions: &[Submission]) {
        let streams = submissions.iter().flat_map(|submission| &submission.drafts).map(|draft| &draft.session);
        self.common.outage().failed(&error.to_string(), streams, (Instant::now(), Timestamp::now()));
    }

    fn refuse(&self, items: Vec<Item>, error: &Error) {
        for Item { submission, answer, .. } in items {
            self.failed(error, &[submission]);
            self.common.give(answer, Err(error.clone()));
        }
    }

    fn hand(&self, message: Message) {
        if matches!(message, Message::Applied(..)) {
            self.common.handed.fetch_add(1, Ordering::AcqRel);
        }
        // The flusher ends only after this sender is gone, or by a panic, which ends the bus too.
        let _ = self.hand.send(message);
    }

    /// Prunes a piece of the sessions that may go.
    fn prune(&mut self) {
        let asked = self.bus.take_asked();
        if let Err(error) = self.pruning.stint(&mut self.writer, asked, || !self.bus.is_empty()) {
            self.broken = Some((error.to_string(), None));
        }
    }

    fn trim(&mut self) {
        let until = Instant::now() + Duration::from_millis(20);
        loop {
            match self.writer.trim(Timestamp::now()) {
                // Over the budget, sessions go where nothing else can.
                Ok(0) if self.writer.wants_trim() && !self.writer.is_pruning() => {
                    if let Err(error) = self.writer.mark_for_budget() {
                        self.broken = Some((error.to_string(), None));
                    }
                    return;
                }
                Ok(0) => return,
                Ok(events) => tracing::debug!(events, "trimmed"),
                Err(error) => {
                    self.broken = Some((error.to_string(), None));
                    return;
                }
            }
            if Instant::now() >= until || !self.bus.is_empty() {
                return;
            }
        }
    }

    /// Answers those that stand behind one that has to be sent again, and leaves the others.
    fn in_order(&self, items: Vec<Item>) -> Vec<Item> {
        let (behind, items): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.answer.behind().is_some());
        for Item { answer, .. } in behind {
            if let Some(error) = answer.behind().cloned() {
                self.common.give(answer, Err(error));
            }
        }
        items
    }
}
