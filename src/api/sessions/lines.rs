//! Events as JSON lines, over one request for as long as it takes.
//!
//! The answers are lines too, one for each line that is not blank, in their order, each as soon as its event is
//! durable. What is in memory has a limit: one batch that is being stored, one that is being read, and the answers
//! that wait ([`answers`]); beyond it the connection is not read, as while the session is over its rate.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;

use super::answers::{self, Answers, End};
use super::emit::{self, Fate, To};
use crate::api::{Error, Shared};
use crate::source::jsonl::{Line, Lines};
use crate::store::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};

/// What an event takes in a batch beside the bytes of its line.
const ENVELOPE: usize = 400;

/// Takes the lines of a body, and answers.
///
/// # Errors
/// 429, or 503, where not even the first lines can be taken now. Later on, lines over the rate wait, and the answer
/// is cut off behind the first line that has to be sent again.
pub(super) async fn emit(shared: &Shared, to: To, body: Body) -> Result<Response, Error> {
    let (answers, reader) = answers::channel();
    let (begin, begun) = oneshot::channel();
    let intake = Intake { shared: shared.clone(), to, answers, begin: Some(begin) };
    // A task of its own: what has come is stored also when the client is gone meanwhile.
    shared.intakes.spawn(intake.run(Incoming::new(body)));
    begun.await.unwrap_or_else(|_| Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon stops")))?;
    let parts = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(lines) => Some((Ok(lines), Some(reader))),
            Err(End::Whole) => None,
            Err(End::Cut) => {
                // Once aside, so that what was answered is on its way.
                tokio::task::yield_now().await;
                Some((Err(io::Error::other("the answer was cut off")), None))
            }
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
    answers: Answers,
    /// Who waits for whether the answer begins, until it does.
    begin: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Intake {
    async fn run(mut self, mut body: Incoming) {
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
            if let Err(error) = self.admit(batch.len()).await {
                return self.begin(Err(error));
            }
            let mut fates = self.store(batch, &mut body).await;
            // What comes behind a line that has to be sent again has to be sent again too, to stay behind it.
            let again = fates.iter().position(|(_, fate)| emit::is_retryable(fate));
            if let (Some(0), true, Some((_, Err(error)))) = (again, self.begin.is_some(), fates.first()) {
                let error = error.clone();
                return self.begin(Err(error));
            }
            fates.truncate(again.map_or(fates.len(), |again| again + 1));
            self.begin(Ok(()));
            self.answers.push(&fates).await;
            if again.is_some() {
                return;
            }
        }
        if let Some(broken) = body.broken {
            tracing::debug!(session = %self.to.session, "lines broke off: {broken}");
        }
        self.begin(Ok(()));
        self.answers.end(End::Whole);
    }

    /// Begins the answer, or says why not; once.
    fn begin(&mut self, how: Result<(), Error>) {
        if let Some(begin) = self.begin.take() {
            // Whoever is gone need not know.
            let _ = begin.send(how);
        }
    }

    /// Waits until so many more events may be stored; before the answer has begun, it is refused at once.
    async fn admit(&self, events: usize) -> Result<(), Error> {
        match self.begin {
            Some(_) => emit::take(&self.shared, &self.to, events),
            None => {
                self.shared.rates.wait(&self.to.session, events).await;
                Ok(())
            }
        }
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
}
