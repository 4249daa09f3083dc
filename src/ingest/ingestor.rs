//! The threads behind the bus: the writer, the flusher, and the one that keeps the index up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::bus::{Answer, Bus, Item, Taken};
use super::pruning::Pruning;
use super::{Error, Ingest};
use crate::event::{Offset, Timestamp};
use crate::store::{self, Flusher, Maintainer, Outcome, Pass, Store, Writer};

/// So many batches may be applied and wait for the flusher.
const AHEAD: usize = 4;
/// The writer looks this often whether there is something to trim.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// With nothing to write, it looks this often whether the store is well and has room.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// After a failed attempt to open the store again, the next one waits so long.
const REOPEN_EVERY: Duration = Duration::from_millis(500);
/// While sessions are being pruned, the next piece waits so long where nothing is written.
const PRUNE_ON: Duration = Duration::from_millis(2);
/// The index looks this often whether there is enough to do.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The index takes up what is left when the log has been at rest for so long.
const AT_REST: Duration = Duration::from_secs(1);

/// The name of the index's thread.
const INDEX: &str = "watchpost-index";

type Waiting = Vec<(Answer, Outcome)>;

enum Message {
    /// Applied up to this offset.
    Applied(Offset, Waiting),
    /// The store was opened again: flushing makes sense again.
    Recovered,
}

/// What the writer and the flusher know of each other.
#[derive(Default)]
struct Common {
    /// Batches handed to the flusher and not answered.
    handed: AtomicUsize,
    /// Why the last flush failed, until the store has been opened again.
    failed: Mutex<Option<String>>,
}

/// The threads of ingest. Whoever starts it must drain it: dropped, it stops without waiting.
pub struct Ingestor {
    bus: Arc<Bus>,
    ended: watch::Receiver<bool>,
    threads: Vec<JoinHandle<()>>,
    stop_index: Arc<AtomicBool>,
}

impl Ingest {
    /// Starts ingest on a store.
    ///
    /// # Errors
    /// The end of the log cannot be read.
    pub fn start(store: &Store) -> Result<(Self, Ingestor), store::Error> {
        let (writer, flusher) = store.writer()?;
        let bus = Arc::<Bus>::default();
        let common = Arc::<Common>::default();
        let (hand, handed) = sync_channel(AHEAD);
        let (end, ended) = watch::channel(false);
        let stop_index = Arc::<AtomicBool>::default();

        let index = {
            let (maintainer, stop) = (store.maintainer(), stop_index.clone());
            spawn(INDEX, Guard { bus: bus.clone(), end: end.clone() }, move || keep_index(&maintainer, &stop))
        };
        let flush = {
            let (bus, common, flusher, index) =
                (bus.clone(), common.clone(), flusher.clone(), index.thread().clone());
            let guard = Guard { bus: bus.clone(), end: end.clone() };
            spawn("watchpost-flush", guard, move || keep_flushing(&handed, &flusher, &common, &bus, &index))
        };
        let write = {
            let guard = Guard { bus: bus.clone(), end };
            let writing = Writing {
                writer,
                flusher,
                hand,
                common,
                bus: bus.clone(),
                broken: None,
                pruning: Pruning::default(),
            };
            spawn("watchpost-write", guard, move || writing.run())
        };
        let threads = vec![write, flush, index];
        Ok((Self { bus: bus.clone() }, Ingestor { bus, ended, threads, stop_index }))
    }
}

/// Tells that a thread has ended, however it ends, and lets nobody wait for it.
struct Guard {
    bus: Arc<Bus>,
    end: watch::Sender<bool>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.bus.abandon();
        self.end.send_replace(true);
    }
}

fn spawn(name: &str, guard: Guard, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let run = move || {
        let _guard = guard;
        work();
    };
    thread::Builder::new().name(name.into()).spawn(run).unwrap_or_else(|e| panic!("no thread can be started: {e}"))
}

impl Ingestor {
    /// Resolves when a thread of ingest has ended, which it should not before it is drained.
    pub async fn ended(&mut self) {
        // An error means that every thread is gone.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// Takes no more, writes what is on the bus, makes it durable, and ends. Blocks until it is done.
    ///
    /// # Errors
    /// A thread has panicked.
    pub fn drain(mut self) -> Result<(), String> {
        self.bus.close();
        let mut panicked = Ok(());
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            // The index is the last to end, so that it takes up what the others have brought.
            self.stop_index.store(name == INDEX, Ordering::Release);
            thread.thread().unpark();
            if thread.join().is_err() {
                panicked = Err(format!("the thread {name} has panicked"));
            }
        }
        panicked
    }
}

impl Drop for Ingestor {
    fn drop(&mut self) {
        self.bus.close();
        self.stop_index.store(true, Ordering::Release);
    }
}

/// The writer's thread.
struct Writing {
    writer: Writer,
    flusher: Flusher,
    hand: SyncSender<Message>,
    common: Arc<Common>,
    bus: Arc<Bus>,
    /// Why the handle is lost, and when opening another one was last tried.
    broken: Option<(String, Option<Instant>)>,
    pruning: Pruning,
}

impl Writing {
    fn run(mut self) {
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
                Taken::Batch(items) => self.write(items),
                // Who asks for the store's health learns it from there, also while nobody sends.
                Taken::Nothing if self.broken.is_none() => drop(self.writer.check_room()),
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

    fn write(&mut self, items: Vec<Item>) {
        if let Some((reason, _)) = &self.broken {
            return refuse(items, &Error::Recovering(reason.clone()));
        }
        let (submissions, answers): (Vec<_>, Vec<_>) = items.into_iter().map(|i| (i.submission, i.answer)).unzip();
        match self.writer.apply(&submissions) {
            Ok(outcomes) => self.applied(answers.into_iter().zip(outcomes).collect()),
            Err(error) => {
                if !matches!(error, store::Error::NoRoom(_)) {
                    self.broken = Some((error.to_string(), None));
                }
                let error = Error::from(error);
                answers.into_iter().for_each(|answer| answer.give(Err(error.clone())));
            }
        }
    }

    fn applied(&mut self, waiting: Waiting) {
        let end = self.writer.next_offset();
        // With nothing else to do, the way over the other thread would only cost time.
        if self.common.handed.load(Ordering::Acquire) > 0 || !self.bus.is_empty() {
            return self.hand(Message::Applied(end, waiting));
        }
        let done = self.flusher.flush(end);
        if let Err(error) = &done {
            self.broken = Some((error.to_string(), None));
        }
        answer(waiting, done.err());
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
        if let Err(error) = self.pruning.stint(&mut self.writer, asked) {
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
}

fn refuse(items: Vec<Item>, error: &Error) {
    items.into_iter().for_each(|item| item.answer.give(Err(error.clone())));
}

fn answer(waiting: Waiting, error: Option<store::Error>) {
    for (answer, outcome) in waiting {
        answer.give(match (&error, outcome) {
            // A refusal stands whatever became of the others.
            (_, Err(refused)) => Err(refused.into()),
            (Some(error), Ok(_)) => Err(Error::Unknown(error.to_string())),
            (None, Ok(receipts)) => Ok(receipts),
        });
    }
}

/// The flusher's thread: one flush for all that has been applied meanwhile.
fn keep_flushing(
    handed: &Receiver<Message>,
    flusher: &Flusher,
    common: &Common,
    bus: &Bus,
    index: &thread::Thread,
) {
    let mut failed: Option<store::Error> = None;
    while let Ok(first) = handed.recv() {
        let (mut end, mut waiting, mut batches) = (0, Waiting::new(), 0);
        for message in std::iter::once(first).chain(handed.try_iter()) {
            match message {
                Message::Applied(to, more) => {
                    end = to;
                    waiting.extend(more);
                    batches += 1;
                }
                Message::Recovered => {
                    answer(std::mem::take(&mut waiting), failed.take());
                    common.handed.fetch_sub(std::mem::take(&mut batches), Ordering::AcqRel);
                }
            }
        }
        if batches == 0 {
            continue;
        }
        if failed.is_none()
            && let Err(error) = flusher.flush(end)
        {
            *common.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            failed = Some(error);
            bus.nudge();
        }
        answer(waiting, failed.clone());
        common.handed.fetch_sub(batches, Ordering::AcqRel);
        index.unpark();
    }
}

/// The index's thread.
fn keep_index(maintainer: &Maintainer, stop: &AtomicBool) {
    let (mut seen, mut since) = (0, Instant::now());
    while !stop.load(Ordering::Acquire) {
        let behind = maintainer.behind();
        if behind != seen {
            (seen, since) = (behind, Instant::now());
        }
        match maintainer.pass(since.elapsed() >= AT_REST) {
            Ok(Pass::Indexed) => {}
            // The writer learns of an I/O error, and opens the store again.
            Ok(Pass::Idle) | Err(_) => thread::park_timeout(LOOK_EVERY),
        }
    }
}
