//! The JetStream sink: events in order, each once, whatever happens to the server.
//!
//! **Order.** Many publishes are in flight. The first names the sequence that is last in the stream, each
//! other one the id of the event before it, so when one is not taken, none after it is. The window is then
//! drained and sent again from there. Where others publish to the stream too, nothing can be named; then
//! what was in flight at an error is sent again one by one, and the log says that order can break.
//!
//! **Once.** The mark beside the cursor says how far the stream is known. [`JetStream::resume`] reads the
//! stream from there to its end, and what is found there counts as confirmed; so the server's dedup window
//! decides nothing. With the same mark a stream that lost what it had confirmed (a restored backup, a stream
//! made anew) is noticed: the cursor goes back to the newest event that is still there, or as far back as the
//! stream keeps messages, and the store fills the hole.

mod answer;
mod headers;
mod link;
mod mark;
mod place;
mod stream;
mod tail;
mod window;

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Info, Stream};
use tokio::time::timeout;

use self::headers::{Expect, Stamp};
use self::link::Link;
use self::mark::Mark;
use self::tail::{Reader, Tail};
use self::window::{Flight, Order, Wire};
use super::{Cursor, Error, Sent, Sink};
use crate::cause::chain;
use crate::config;
use crate::event::process::kind::{DEPENDENCIES_LISTED, RESOURCES_SAMPLED};
use crate::event::{Event, Invalid, Logged, Pattern};
use crate::nats::{self, Connection};

/// How long [`JetStream::resume`] may take.
const RESUME_TIME: Duration = Duration::from_secs(28);

/// The most publishes in flight, whatever the settings say; the client has room for four times as many answers.
const MAX_WINDOW: usize = 16 * 1024;

/// The sink of one stream.
#[derive(Debug)]
pub struct JetStream {
    settings: config::JetStream,
    wanted: Vec<Pattern>,
    /// There between a successful `resume` and the next error.
    link: Option<Link>,
    /// The differences that the log has already.
    told: Vec<String>,
    /// Events that were in flight when an error came while others published too.
    careful: usize,
}

impl JetStream {
    /// A sink that is not connected yet. Refuses a subject that is none.
    pub fn new(settings: config::JetStream) -> Result<Self, Invalid> {
        let wanted = settings.subjects.iter().map(Pattern::parse).collect::<Result<_, _>>()?;
        Ok(Self { settings, wanted, link: None, told: Vec::new(), careful: 0 })
    }

    async fn connect(&mut self, at: &Cursor) -> Result<Cursor, Error> {
        let connection = Connection::open(&self.settings.nats).await.map_err(|error| match error {
            nats::Error::Misconfigured { .. } => Error::Misconfigured(error.to_string()),
            nats::Error::Unreachable { .. } => Error::Retryable(error.to_string()),
        })?;
        let known = connection.clone();
        tokio::select! {
            biased;
            () = known.denied.cancelled() => Err(Error::Misconfigured(known.denial())),
            () = known.lost.cancelled() => Err(Error::Retryable("the connection to NATS broke".into())),
            placed = self.place(connection, at) => placed,
        }
    }

    /// Finds out where the stream stands, and where to go on.
    async fn place(&mut self, connection: Connection, at: &Cursor) -> Result<Cursor, Error> {
        let context = jetstream::new(connection.client.clone());
        let stream = stream::make_or_adopt(&context, &self.settings).await?;
        let info = stream.cached_info().clone();
        if let Some(reason) = stream::unusable(&info, &self.wanted) {
            return Err(Error::Misconfigured(reason));
        }
        self.tell_differences(&info);
        let reader = self.reader(&context, &connection, &stream).await?;
        let (offset, mark, tail) = match Mark::read(&at.mark) {
            None => place::first_time(&reader, &info, at.offset).await?,
            Some(mark) => place::again(&reader, &info, at.offset, mark).await?,
        };
        let order = self.order(&tail);
        let inbox = connection.client.new_inbox();
        let answers = connection.client.subscribe(format!("{inbox}.*")).await;
        let answers = answers.map_err(|error| Error::Retryable(chain(&error)))?;
        let cursor = Cursor { offset, mark: mark.write() };
        self.link = Some(Link {
            wire: Wire { connection, inbox, answers, token: 0 },
            reader,
            taken: info.config.subjects.iter().filter_map(|subject| Pattern::parse(subject).ok()).collect(),
            stamp: Stamp { writer: mark.writer, stream: self.settings.stream.clone() },
            window: self.settings.window.clamp(1, MAX_WINDOW),
            offset,
            mark,
            tail,
            order,
        });
        Ok(cursor)
    }

    async fn reader(
        &self,
        context: &jetstream::Context,
        connection: &Connection,
        stream: &Stream,
    ) -> Result<Reader, Error> {
        let name = &stream.cached_info().config.name;
        let stream = context.get_stream_no_info(name).await;
        let stream = stream.map_err(|error| Error::Retryable(chain(&error)))?;
        Ok(Reader { client: connection.client.clone(), stream })
    }

    fn tell_differences(&mut self, info: &Info) {
        let differences = stream::differences(&self.settings, &info.config);
        for difference in differences.iter().filter(|difference| !self.told.contains(difference)) {
            tracing::warn!(stream = self.settings.stream, "using the stream as it is: its {difference}");
        }
        self.told = differences;
    }

    fn order(&mut self, tail: &Tail) -> Order {
        let careful = std::mem::take(&mut self.careful);
        if tail.foreign() == 0 {
            let next = Expect::Sequence(tail.end());
            return Order::Chained { confirmed: next.clone(), next };
        }
        tracing::warn!(
            stream = self.settings.stream,
            messages = tail.foreign(),
            "others publish to this stream too: events can get out of order there when a publish fails"
        );
        Order::Shared { careful }
    }
}

impl Sink for JetStream {
    fn wants(&self, event: &Event) -> bool {
        let sampled = [RESOURCES_SAMPLED, DEPENDENCIES_LISTED].contains(&event.kind.as_str());
        (self.settings.resources || !sampled)
            && self.wanted.iter().any(|pattern| pattern.matches(event.subject.as_str()))
    }

    async fn resume(&mut self, at: &Cursor) -> Result<Cursor, Error> {
        self.link = None;
        match timeout(RESUME_TIME, self.connect(at)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Retryable("NATS answers too slowly".into())),
        }
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        // Taken out while the call runs: a call that is dropped leaves no half-known connection behind.
        let Some(mut link) = self.link.take() else {
            return Sent { error: Some(Error::Retryable("not connected to NATS".into())), ..Sent::default() };
        };
        let mut flight = Flight::new(batch);
        let result = link.deliver(&mut flight).await;
        let settled = flight.settled();
        link.confirm(&flight, settled);
        let mark = link.mark.write();
        match &result {
            Ok(()) => self.link = Some(link),
            Err(_) if matches!(link.order, Order::Shared { .. }) => {
                self.careful = flight.next.saturating_sub(settled)
            }
            Err(_) => {}
        }
        Sent { settled, refused: flight.refused(), mark, error: result.err() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::testing;

    fn event(subject: &str, kind: &str) -> Event {
        Event { subject: testing::subject(subject), ..testing::event("proc-main-1", kind) }
    }

    #[test]
    fn takes_its_subjects_and_samples_only_if_asked() {
        let sink = |resources| {
            JetStream::new(config::JetStream { resources, ..config::JetStream::default() }).expect("good subjects")
        };
        let sample = event("core.process.default.web.resources_sampled", RESOURCES_SAMPLED);
        assert!(!sink(false).wants(&sample) && sink(true).wants(&sample));
        let listing = event("core.process.main.dependencies_listed", DEPENDENCIES_LISTED);
        assert!(!sink(false).wants(&listing) && sink(true).wants(&listing));
        assert!(sink(false).wants(&event("core.process.default.web.started", "started")));
        assert!(sink(false).wants(&event("core.source.main.source_up", "source_up")));
        assert!(!sink(true).wants(&event("hub.main.project.created", "created")));
    }

    #[tokio::test]
    async fn nothing_goes_out_before_it_was_resumed() {
        let mut sink = JetStream::new(config::JetStream::default()).expect("good subjects");
        let event = event("core.process.default.web.started", "started").into();
        let batch = [Logged { offset: 0, event }];
        let sent = sink.send(&batch).await;
        assert!(sent.settled == 0 && matches!(sent.error, Some(Error::Retryable(_))), "{sent:?}");
    }
}
