//! The threads behind the bus: the writer, the flusher, and the one that keeps the index up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::bus::{Answer, Bus, Reply};
use super::late::Late;
use super::meter::{Begun, Meter};
use super::outage::Outage;
use super::pruning::Pruning;
use super::writing::Writing;
use super::{Error, Ingest};
use crate::event::{Offset, StreamId, Timestamp};
use crate::store::{self, Flusher, Maintainer, Outcome, Pass, Store};

/// So many batches may be applied and wait for the flusher.
const AHEAD: usize = 4;
/// Sessions are failed once commits have failed for so long, where nothing else is said.
const FAILED_AFTER: Duration = Duration::from_secs(60);
/// The index looks this often whether there is enough to do.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The index takes up what is left when the log has been at rest for so long.
const AT_REST: Duration = Duration::from_secs(1);

/// The name of the index's thread.
const INDEX: &str = "watchpost-index";

/// What was applied, and who is told when it is durable.
pub(super) struct Applied {
    pub(super) answer: Answer,
    pub(super) outcome: Outcome,
    /// The stream of its first event.
    pub(super) stream: Option<StreamId>,
}

pub(super) type Waiting = Vec<Applied>;

pub(super) enum Message {
    /// A batch, applied up to this offset.
    Applied(Offset, Begun, Waiting),
    /// The store was opened again: flushing makes sense again.
    Recovered,
}

/// What the writer and the flusher know of each other.
pub(super) struct Common {
    /// Batches handed to the flusher and not answered.
    pub(super) handed: AtomicUsize,
    /// Why the last flush failed, until the store has been opened again.
    pub(super) failed: Mutex<Option<String>>,
    pub(super) meter: Arc<Meter>,
    outage: Mutex<Outage>,
}

impl Common {
    pub(super) fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers what was applied, once it is durable or known not to be.
    pub(super) fn answer(&self, waiting: Waiting, error: Option<store::Error>) {
        if let Some(error) = &error {
            let streams = waiting.iter().filter(|applied| applied.outcome.is_ok());
            let streams = streams.filter_map(|applied| applied.stream.as_ref());
            self.outage().failed(&error.to_string(), streams, (Instant::now(), Timestamp::now()));
        }
        for Applied { answer, outcome, .. } in waiting {
            self.give(
                answer,
                match (&error, outcome) {
                    // A refusal stands whatever became of the others.
                    (_, Err(refused)) => Err(refused.into()),
                    (Some(error), Ok(_)) => Err(Error::Unknown(error.to_string())),
                    (None, Ok(receipts)) => Ok(receipts),
                },
            );
        }
    }

    /// Answers a submission, and counts a refusal.
    pub(super) fn give(&self, answer: Answer, reply: Reply) {
        if let Err(error) = &reply {
            self.meter.refused(error);
        }
        answer.give(reply);
    }
}

/// The threads of ingest. Whoever starts it must drain it: dropped, it stops without waiting.
pub struct Ingestor {
    bus: Arc<Bus>,
    ended: watch::Receiver<bool>,
    threads: Vec<JoinHandle<()>>,
    stop_index: Arc<AtomicBool>,
}

impl Ingest {
    /// Starts ingest on a store, with the default of [`Ingest::start_with`].
    ///
    /// # Errors
    /// The end of the log cannot be read.
    pub fn start(store: &Store) -> Result<(Self, Ingestor), store::Error> {
        Self::start_with(store, FAILED_AFTER)
    }

    /// Starts ingest on a store. When commits have failed for `failed_after`, the sessions that were refused
    /// something meanwhile are failed by an `ingest_failed` event, once the store takes one.
    ///
    /// # Errors
    /// The end of the log cannot be read.
    pub fn start_with(store: &Store, failed_after: Duration) -> Result<(Self, Ingestor), store::Error> {
        let (writer, flusher) = store.writer()?;
        let bus = Arc::<Bus>::default();
        let late = Late::default();
        let outage = Mutex::new(Outage::new(failed_after));
        let meter = Arc::new(Meter::starting_at(store.range().end));
        let (handed, failed) = (AtomicUsize::new(0), Mutex::default());
        let common = Arc::new(Common { handed, failed, meter: meter.clone(), outage });
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
                late: late.clone(),
                broken: None,
                pruning: Pruning::default(),
            };
            spawn("watchpost-write", guard, move || writing.run())
        };
        let threads = vec![write, flush, index];
        Ok((Self { bus: bus.clone(), late, meter }, Ingestor { bus, ended, threads, stop_index }))
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
        let (mut end, mut waiting, mut batches, mut begun) = (0, Waiting::new(), 0, Vec::new());
        for message in std::iter::once(first).chain(handed.try_iter()) {
            match message {
                Message::Applied(to, batch, more) => {
                    end = to;
                    begun.push(batch);
                    waiting.extend(more);
                    batches += 1;
                }
                Message::Recovered => {
                    common.answer(std::mem::take(&mut waiting), failed.take());
                    common.handed.fetch_sub(std::mem::take(&mut batches), Ordering::AcqRel);
                }
            }
        }
        if batches == 0 {
            continue;
        }
        if failed.is_none() {
            match flusher.flush(end) {
                Ok(()) => {
                    common.outage().over();
                    common.meter.durable(end, &begun);
                }
                Err(error) => {
                    *common.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                    failed = Some(error);
                    bus.nudge();
                }
            }
        }
        common.answer(waiting, failed.clone());
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
