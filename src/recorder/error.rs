//! Why something was not recorded.

use std::io;

use crate::{client, ingest, session, store};

/// Why something was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store of this process.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A session of this process.
    #[error(transparent)]
    Session(session::Error),
    /// The daemon.
    #[error(transparent)]
    Daemon(#[from] client::Error),
    /// Too many events wait to be stored or sent: try later.
    #[error("too many events wait: try later")]
    Full,
    /// It can never be stored.
    #[error("{0}")]
    Invalid(String),
    /// The session takes no more.
    #[error("the session takes no more: {0}")]
    Closed(String),
    /// The API cannot be served.
    #[error("the API: {0}")]
    Listen(io::Error),
    /// A daemon has the store.
    #[error("the daemon serves its store by itself")]
    Elsewhere,
    /// A task or a thread has failed.
    #[error("{0}")]
    Failed(String),
}

impl From<session::Error> for Error {
    fn from(error: session::Error) -> Self {
        match error {
            session::Error::Ingest(ingest::Error::Full) => Self::Full,
            session::Error::Invalid(invalid) => Self::Invalid(invalid.to_string()),
            other => Self::Session(other),
        }
    }
}

impl From<client::sessions::Refused> for Error {
    fn from(refused: client::sessions::Refused) -> Self {
        match refused {
            client::sessions::Refused::Full => Self::Full,
            client::sessions::Refused::Invalid(wrong) => Self::Invalid(wrong),
            client::sessions::Refused::Closed(reason) => Self::Closed(reason),
        }
    }
}
