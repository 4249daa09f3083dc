//! The source that watches the processes of a process-compose supervisor.
//!
//! Each poll is compared with the last snapshot by one pure function, [`diff::diff`]; the stream of state
//! changes is a hint that it uses. The snapshot is committed with the events that it gave rise to, so a restart
//! of ours neither repeats nor misses what happened meanwhile.

mod clock;
mod dependencies;
pub mod diff;
mod ears;
pub mod hint;
mod outage;
mod poll;
pub mod record;
mod rename;
mod replicas;
mod saved;
mod submit;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use tokio_util::sync::CancellationToken;

use crate::config::ProcessCompose;
use crate::ingest::Ingest;
use crate::store::{self, Store};

pub use clock::Mark;
pub use poll::Source;
pub use submit::Writer;
pub use walk::Change;

/// How a source fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There was no poll yet.
    Starting,
    /// The last poll went well.
    Up,
    /// The last poll failed, or its events are not stored yet.
    Failing(String),
    /// So many polls failed that the supervisor counts as down.
    Down(String),
    /// The supervisor refuses the token.
    Unauthorized(String),
}

/// Why a source ended.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The endpoint is none.
    #[error(transparent)]
    Client(#[from] crate::process_compose::Error),
    /// The saved snapshot cannot be read.
    #[error("the last snapshot cannot be read: {0}")]
    Store(#[from] store::Error),
    /// Ingest has stopped.
    #[error("ingest has stopped")]
    Closed,
}

/// Watches one supervisor until `shutdown`.
///
/// # Errors
/// Its settings make no client, the store cannot be read, or ingest has stopped.
pub async fn run(
    settings: ProcessCompose,
    store: Store,
    ingest: Ingest,
    shutdown: CancellationToken,
) -> Result<(), Failed> {
    Source::new(settings, store, ingest)?.run(shutdown).await
}
