//! One connection to the stream, and the server's consumer behind it.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{ConsumerErrorKind, Stream};
use async_nats::jetstream::{self, ErrorCode};
use futures_util::StreamExt;

use super::{Error, Start};
use crate::cause::chain;
use crate::config;
use crate::event::{Pattern, Timestamp};
use crate::nats::Connection;

/// An ephemeral consumer that nobody reads goes away after this.
const INACTIVE: Duration = Duration::from_secs(60);
/// What is not acknowledged by then comes again.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// So many events may be in the handler's hands.
const MAX_OPEN: i64 = 1000;

/// The stream as it was when it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// When it was made, in nanoseconds.
    pub(super) created: i128,
    /// Its last sequence.
    pub(super) last: u64,
}

/// A live connection.
pub(super) struct Source {
    connection: Connection,
    stream: Stream,
    messages: Option<pull::Stream>,
}

impl Source {
    /// Connects, and looks at the stream.
    pub(super) async fn connect(nats: &config::Nats, stream: &str) -> Result<Self, Error> {
        let connection = Connection::open(nats).await?;
        let context = jetstream::new(connection.client.clone());
        let stream = context.get_stream(stream).await.map_err(|error| match error.kind() {
            GetStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Error::NoStream(stream.into())
            }
            _ => Error::Server(format!("stream {stream}: {}", chain(&error))),
        })?;
        Ok(Self { connection, stream, messages: None })
    }

    /// The stream as it was at the connection.
    pub(super) fn seen(&self) -> Seen {
        let info = self.stream.cached_info();
        Seen { created: info.created.unix_timestamp_nanos(), last: info.state.last_sequence }
    }

    /// Begins to read through a consumer that lasts as long as this connection. Answers how many messages
    /// there are for it already.
    pub(super) async fn read(&mut self, subjects: &[Pattern], policy: DeliverPolicy) -> Result<u64, Error> {
        let config = pull::Config { inactive_threshold: INACTIVE, memory_storage: true, ..base(subjects, policy) };
        let consumer = self.stream.create_consumer(config).await.map_err(|error| refused(&error))?;
        self.attach(consumer).await
    }

    /// Begins to read through a consumer that the server keeps; made by `policy` where it is not there yet.
    pub(super) async fn read_durable(
        &mut self,
        name: &str,
        subjects: &[Pattern],
        policy: DeliverPolicy,
    ) -> Result<u64, Error> {
        let config = pull::Config { durable_name: Some(name.into()), ..base(subjects, policy) };
        let consumer = match self.stream.get_consumer::<pull::Config>(name).await {
            Ok(consumer) => consumer,
            Err(_) => self.stream.create_consumer(config.clone()).await.map_err(|error| refused(&error))?,
        };
        let found = &consumer.cached_info().config;
        let sorted = |one: &str, many: &[String]| {
            let mut all: Vec<String> = many.to_vec();
            all.extend((!one.is_empty()).then(|| one.to_owned()));
            all.sort();
            all
        };
        if sorted("", &config.filter_subjects) != sorted(&found.filter_subject, &found.filter_subjects) {
            return Err(Error::OtherFilter { name: name.into(), found: found.filter_subjects.join(" ") });
        }
        self.attach(consumer).await
    }

    async fn attach(&mut self, consumer: jetstream::consumer::Consumer<pull::Config>) -> Result<u64, Error> {
        let pending = consumer.cached_info().num_pending;
        let messages = consumer
            .stream()
            .max_messages_per_batch(256)
            .expires(Duration::from_secs(30))
            .heartbeat(Duration::from_secs(5))
            .messages();
        self.messages = Some(messages.await.map_err(|error| Error::Server(chain(&error)))?);
        Ok(pending)
    }

    /// Tells the server that nobody reads any more, and waits until it knows.
    pub(super) async fn close(mut self) {
        drop(self.messages.take());
        // Answered after all that was sent before it.
        if let Err(error) = self.stream.get_info().await {
            tracing::debug!(%error, "the server was not told that the subscription ends");
        }
    }

    /// The next message; `None` when the connection or the consumer is gone. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<jetstream::Message> {
        let messages = self.messages.as_mut()?;
        tokio::select! {
            biased;
            () = self.connection.lost.cancelled() => None,
            message = messages.next() => match message? {
                Ok(message) => Some(message),
                Err(error) => {
                    tracing::debug!(%error, "the consumer is gone");
                    None
                }
            }
        }
    }
}

fn base(subjects: &[Pattern], policy: DeliverPolicy) -> pull::Config {
    pull::Config {
        deliver_policy: policy,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: MAX_OPEN,
        filter_subjects: subjects.iter().map(|subject| subject.as_str().to_owned()).collect(),
        ..pull::Config::default()
    }
}

fn refused(error: &async_nats::jetstream::stream::ConsumerError) -> Error {
    match error.kind() {
        ConsumerErrorKind::JetStream(said) if said.code() == 400 => Error::Refused(said.to_string()),
        _ => Error::Server(format!("making a consumer: {}", chain(error))),
    }
}

/// Where the server begins, for a start that it knows.
pub(super) fn policy(start: &Start) -> DeliverPolicy {
    match start {
        Start::Current => DeliverPolicy::LastPerSubject,
        Start::All => DeliverPolicy::All,
        Start::New => DeliverPolicy::New,
        Start::Since(time) => starting_at(*time),
    }
}

pub(crate) fn starting_at(time: Timestamp) -> DeliverPolicy {
    let nanos = i128::from(time.as_millis()) * 1_000_000;
    match async_nats::datetime::from_nanos(nanos) {
        Ok(start_time) => DeliverPolicy::ByStartTime { start_time },
        Err(_) => DeliverPolicy::All,
    }
}
