//! What can go wrong with a session, for whoever writes to it.

use crate::event::{Invalid, StreamId};
use crate::ingest;
use crate::store::{self, Refused};

/// Why a session did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such session, or it was pruned.
    #[error("there is no session {0}")]
    NotFound(StreamId),
    /// It has ended, and nothing follows an end.
    #[error("the session {0} has ended: nothing can be added to it")]
    Ended(StreamId),
    /// The same id, or key, was sent before with other content.
    #[error("{field}: {message}")]
    Conflict {
        /// The field that differs.
        field: &'static str,
        /// How.
        message: String,
    },
    /// Something is not as it has to be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Ingest did not take it.
    #[error(transparent)]
    Ingest(ingest::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// Whether the same may go well later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Ingest(error) => error.is_retryable(),
            Self::Store(error) => matches!(error, store::Error::NoRoom(_) | store::Error::Recovering(_)),
            _ => false,
        }
    }
}

impl From<ingest::Error> for Error {
    fn from(error: ingest::Error) -> Self {
        match error {
            ingest::Error::Refused(Refused::Ended { session, .. }) => Self::Ended(session),
            ingest::Error::Refused(Refused::NotStarted { session, .. }) => Self::NotFound(session),
            ingest::Error::Refused(Refused::Invalid { error, .. }) | ingest::Error::TooLarge(error) => {
                Self::Invalid(error)
            }
            ingest::Error::Refused(Refused::Conflict { field, id, .. }) => {
                Self::Conflict { field, message: format!("differs from what was sent before under the id {id}") }
            }
            other => Self::Ingest(other),
        }
    }
}
