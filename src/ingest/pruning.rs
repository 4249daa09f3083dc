//! Sessions are pruned by the writer's thread, a piece at a time between two commits.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::event::Timestamp;
use crate::store::{Error, Pruned, Writer};

/// The writer looks this often whether there are sessions to prune.
const EVERY: Duration = Duration::from_secs(60);
/// It takes at most so long at once…
const STINT: Duration = Duration::from_millis(20);
/// …and so long while there is something to write.
const SHORT_STINT: Duration = Duration::from_millis(1);

/// Who is told what was pruned.
pub(super) type Asked = oneshot::Sender<Pruned>;

/// Pruning, between two stints.
#[derive(Default)]
pub(super) struct Pruning {
    looked: Option<Instant>,
    asked: Vec<Asked>,
    done: Pruned,
}

impl Pruning {
    /// Looks for sessions that may go, where it is time or somebody asks, and takes a piece of those: a small one
    /// where the writer is `busy`.
    pub(super) fn stint(
        &mut self,
        writer: &mut Writer,
        asked: Vec<Asked>,
        busy: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let due = self.looked.is_none_or(|looked| looked.elapsed() >= EVERY) || !asked.is_empty();
        // Before anything can fail: who asks is answered in the end.
        self.asked.extend(asked);
        if due {
            self.looked = None;
            writer.mark_prunable(Timestamp::now())?;
            self.looked = Some(Instant::now());
        }
        let begun = Instant::now();
        while begun.elapsed() < if busy() { SHORT_STINT } else { STINT } {
            let pruned = writer.forget()?;
            if pruned.is_empty() {
                break;
            }
            self.done.sessions += pruned.sessions;
            self.done.events += pruned.events;
        }
        if !writer.is_pruning() {
            let done = std::mem::take(&mut self.done);
            if done.sessions > 0 {
                let refreshed = writer.refresh()?;
                tracing::info!(sessions = done.sessions, events = done.events, refreshed, "pruned");
            }
            for asked in self.asked.drain(..) {
                // Whoever does not wait any more need not be told.
                let _ = asked.send(done);
            }
        }
        Ok(())
    }
}
