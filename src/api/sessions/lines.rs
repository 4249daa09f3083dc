//! Events as JSON lines, over one request for as long as it takes.
//!
//! The answers are lines too, one for each line that is not blank, in their order, each as soon as its event is
//! durable. What is in memory has a limit: one batch that is being stored, one that is being read, and
//! [`ANSWERS`] batches of answers; then the connection is not read any more until they are taken. So is it while
//! the session is over its rate.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::emit::{self, Fate, To};
use crate::api::{Error, Shared};
use crate::source::jsonl::{Line, Lines};
use crate::store::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};

/// So many batches of answers wait for a client that does not read them.
const ANSWERS: usize = 16;
/// A client that reads no answers for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// What an event takes in a batch beside the bytes of its line.
const ENVELOPE: usize = 400;

/// A part of the answer.
enum Part {
    Lines(Bytes),
    /// It ends as it should; without it the connection is cut.
    End,
}

/// Takes the lines of a body, and answers.
pub(super) async fn emit(shared: &Shared, to: To, body: Body) -> Result<Response, Error> {
    let mut body = Incoming::new(body);
    // Before the answer begins: a client that waits for leave to send is given it by this.
    body.read().await;
    let (answers, taken) = mpsc::channel(ANSWERS);
    let intake = Intake { shared: shared.clone(), to, answers };
    shared.intakes.spawn(intake.run(body));
    let parts = stream::unfold(Some(taken), |taken| async move {
        let mut taken = taken?;
        match taken.recv().await {
            Some(Part::Lines(lines)) => Some((Ok(lines), Some(taken))),
            Some(Part::End) => None,
            None => Some((Err(io::Error::other("the answer was cut off")), None)),
        }
    });
    let content = (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(([content], Body::from_stream(parts)).into_response())
}

/// A body that is read, and the lines of it that were not taken yet.
struct Incoming {
    body: BodyDataStream,
    lines: Lines,
    ready: VecDeque<Line>,
    bytes: usize,
    /// Whether there is no more to read.
    ended: bool,
    /// Why there is no more, where it broke off.
    broken: Option<String>,
}

impl Incoming {
    fn new(body: Body) -> Self {
        let (body, lines) = (body.into_data_stream(), Lines::default());
        Self { body, lines, ready: VecDeque::new(), bytes: 0, ended: false, broken: None }
    }

    /// Whether a whole batch is there, so that reading can wait.
    fn is_full(&self) -> bool {
        self.ready.len() >= MAX_BATCH_EVENTS || self.bytes >= MAX_BATCH_BYTES
    }

    /// Reads the next piece. Safe to drop while it waits.
    async fn read(&mut self) {
        match self.body.next().await {
            Some(Ok(piece)) => {
                let lines = self.lines.feed(&piece);
                self.add(lines);
            }
            Some(Err(error)) => {
                // The line that it broke off in is not whole.
                (self.ended, self.broken) = (true, Some(error.to_string()));
            }
            None => {
                self.ended = true;
                let last = self.lines.finish();
                self.add(last);
            }
        }
    }

    fn add(&mut self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            self.bytes += size(&line);
            self.ready.push_back(line);
        }
    }

    /// What is there, as far as it fits into one commit.
    fn batch(&mut self) -> Vec<Line> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(line) = self.ready.front() {
            bytes += size(line);
            if !batch.is_empty() && (batch.len() >= MAX_BATCH_EVENTS || bytes > MAX_BATCH_BYTES) {
                break;
            }
            self.bytes -= size(line);
            batch.extend(self.ready.pop_front());
        }
        batch
    }
}

fn size(line: &Line) -> usize {
    ENVELOPE + line.text.as_ref().map_or(0, String::len)
}

/// One request on its way into the store.
///
/// It goes on when the client is gone, as long as there are whole lines that had come: those are stored.
struct Intake {
    shared: Shared,
    to: To,
    answers: mpsc::Sender<Part>,
}

impl Intake {
    async fn run(self, mut body: Incoming) {
        loop {
            let batch = body.batch();
            if batch.is_empty() && body.ended {
                break;
            }
            if batch.is_empty() {
                tokio::select! {
                    () = body.read() => continue,
                    () = self.shared.shutdown.cancelled() => return,
                }
            }
            self.shared.rates.wait(&self.to.session, batch.len()).await;
            let fates = self.store(batch, &mut body).await;
            let later = fates.iter().any(|(_, fate)| emit::is_retryable(fate));
            if !self.tell(&fates).await {
                return;
            }
            if later {
                // What comes behind would be stored before what has to be sent again.
                break;
            }
        }
        if let Some(broken) = body.broken {
            tracing::debug!(session = %self.to.session, "lines broke off: {broken}");
        }
        // Whoever is gone needs no end.
        let _ = self.answers.send(Part::End).await;
    }

    /// Stores a batch, and reads ahead meanwhile, at most another one.
    async fn store(&self, batch: Vec<Line>, body: &mut Incoming) -> Vec<(u64, Fate)> {
        let numbers: Vec<u64> = batch.iter().map(|line| line.number).collect();
        let drafts = batch.into_iter().map(|Line { number, text }| match text {
            Ok(text) => self.to.draft(&text, number),
            Err(error) if error.field == "line" => {
                Err(Error::field(StatusCode::PAYLOAD_TOO_LARGE, error.field, error.to_string()))
            }
            Err(error) => Err(error.into()),
        });
        let mut stored = pin!(emit::append(&self.shared, &self.to, drafts.collect()));
        loop {
            tokio::select! {
                fates = &mut stored => return numbers.into_iter().zip(fates).collect(),
                () = body.read(), if !body.ended && !body.is_full() => {}
            }
        }
    }

    /// Answers; `false` where the client does not take its answers.
    async fn tell(&self, fates: &[(u64, Fate)]) -> bool {
        let mut text = String::new();
        for (number, fate) in fates {
            text.push_str(&emit::answer(Some(*number), fate).to_string());
            text.push('\n');
        }
        let sent = tokio::time::timeout(PATIENCE, self.answers.send(Part::Lines(text.into()))).await;
        if sent.is_err() {
            tracing::warn!(session = %self.to.session, "a client reads no answers: its connection is cut");
        }
        sent.is_ok()
    }
}
