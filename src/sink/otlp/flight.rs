//! Requests that are under way.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Answer, Channel, Fail};
use crate::sink::Error;

/// Some requests under way, each known by its key. They end when this is dropped.
pub(super) struct Flight<K> {
    channel: Channel,
    window: usize,
    /// Nothing is started any more.
    latest: Instant,
    tasks: JoinSet<(K, Result<Answer, Fail>)>,
    error: Option<Error>,
}

impl<K: Send + 'static> Flight<K> {
    /// At most `window` at a time, and done after `time`.
    pub(super) fn new(channel: &Channel, window: usize, time: Duration) -> Self {
        let latest = Instant::now() + time.saturating_sub(channel.timeout());
        Self { channel: channel.clone(), window, latest, tasks: JoinSet::new(), error: None }
    }

    /// Whether one more may be started.
    pub(super) fn has_room(&self) -> bool {
        self.error.is_none() && self.tasks.len() < self.window && Instant::now() < self.latest
    }

    pub(super) fn start(&mut self, key: K, request: Bytes) {
        let channel = self.channel.clone();
        self.tasks.spawn(async move { (key, channel.export(request).await) });
    }

    /// The next one that was answered. Nothing when none is under way and none failed; the error when the last
    /// has landed after one failed.
    pub(super) async fn landed(&mut self) -> Option<Result<(K, Result<Answer, Fail>), Error>> {
        match self.tasks.join_next().await {
            Some(Ok(landed)) => Some(Ok(landed)),
            // The runtime ends.
            Some(Err(error)) => Some(Err(Error::Retryable(format!("the exporter failed: {error}")))),
            None => self.error.take().map(Err),
        }
    }

    /// Starts nothing more. Of several errors the first counts, but one that says when to come back more.
    pub(super) fn failed(&mut self, fail: Fail) {
        let error = Error::from(fail);
        let replaces = matches!(
            (&self.error, &error),
            (None, _) | (Some(Error::Retryable(_)), Error::Throttled { .. } | Error::Misconfigured(_))
        );
        if replaces {
            self.error = Some(error);
        }
    }
}

impl From<Fail> for Error {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Later { message, after: Some(after) } => Self::Throttled { message, after },
            Fail::Later { message, after: None } => Self::Retryable(message),
            Fail::Wrong(message) | Fail::TooLarge(message) | Fail::Refused(message) => Self::Misconfigured(message),
        }
    }
}
