//! Whether the supervisor counts as down: a pure count of failed polls.

use serde::{Deserialize, Serialize};

use crate::event::Timestamp;

/// An outage that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Down {
    /// When the first poll failed.
    pub(super) since: Timestamp,
    /// How many had failed when it was told.
    pub(super) failed_polls: u32,
}

/// Failed polls in a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Outage {
    failed: u32,
    since: Option<Timestamp>,
    down: Option<Down>,
}

impl Outage {
    /// Goes on from an outage that was told before a restart of ours.
    pub(super) fn resume(down: Option<Down>) -> Self {
        let (failed, since) = (down.as_ref().map_or(0, |d| d.failed_polls), down.as_ref().map(|d| d.since));
        Self { failed, since, down }
    }

    /// A poll failed; `Some` when it is time to tell, again and again until [`Self::told`].
    pub(super) fn failed(&mut self, at: Timestamp, after: u32) -> Option<Down> {
        self.failed = self.failed.saturating_add(1);
        let since = *self.since.get_or_insert(at);
        let due = self.down.is_none() && self.failed >= after;
        due.then_some(Down { since, failed_polls: self.failed })
    }

    /// The outage is in the log.
    pub(super) fn told(&mut self, down: Down) {
        self.down = Some(down);
    }

    /// A poll went well: the outage that is over and has to be told so, and the failed polls.
    pub(super) fn over(&self) -> Option<(Down, u32)> {
        self.down.clone().map(|down| (down, self.failed))
    }

    /// It is over, and told where it had been told.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_after_so_many_failures_in_a_row() {
        let time = Timestamp::from_millis;
        let mut outage = Outage::default();
        assert_eq!(outage.failed(time(1), 3), None);
        outage.clear();
        assert_eq!(outage.over(), None);
        assert_eq!((outage.failed(time(2), 3), outage.failed(time(3), 3)), (None, None));
        let down = outage.failed(time(4), 3).expect("the third in a row");
        assert_eq!(down, Down { since: time(2), failed_polls: 3 });
        assert!(outage.failed(time(5), 3).is_some(), "it could not be told yet");
        outage.told(down.clone());
        assert_eq!(outage.failed(time(6), 3), None);
        assert_eq!(outage.over(), Some((down.clone(), 5)));
        // After a restart of ours it is still down.
        let mut outage = Outage::resume(Some(down.clone()));
        assert_eq!(outage.failed(time(7), 3), None);
        assert_eq!(outage.over(), Some((down, 4)));
    }
}
