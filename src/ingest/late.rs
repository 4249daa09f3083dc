//! Events that came after their session had ended: counted, and kept as dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dead_letter;
use crate::event::{Draft, Timestamp};
use crate::store::{Outcome, Refused, Submission, Write};

/// So many are kept while the process lives; the rest is counted, so that a writer that never stops does not fill
/// the store.
const MAX_KEPT: u64 = 10_000;

/// How many there were.
#[derive(Clone, Default)]
pub(super) struct Late(Arc<AtomicU64>);

impl Late {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The letters of what was refused because it came too late.
    pub(super) fn letters(&self, submissions: &[Submission], outcomes: &[Outcome]) -> Vec<Write> {
        let now = Timestamp::now();
        let drafts = submissions.iter().zip(outcomes).flat_map(|(submission, outcome)| late(submission, outcome));
        let kept = drafts.filter(|draft| {
            let before = self.0.fetch_add(1, Ordering::AcqRel);
            if before == MAX_KEPT {
                tracing::warn!(session = %draft.session, "{MAX_KEPT} late events are kept, no more will be");
            }
            before < MAX_KEPT
        });
        kept.map(|draft| dead_letter::keep(&dead_letter::late(draft, now))).collect()
    }
}

fn late<'a>(submission: &'a Submission, outcome: &'a Outcome) -> impl Iterator<Item = &'a Draft> {
    let ended = match outcome {
        Err(Refused::Ended { index, session }) => Some((*index, session)),
        _ => None,
    };
    ended.into_iter().flat_map(|(index, session)| {
        submission.drafts[index..].iter().filter(move |draft| draft.session == *session)
    })
}
