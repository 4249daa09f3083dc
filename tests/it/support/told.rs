//! The log of a daemon that has ended, and what the spans' fold makes of it.

use std::path::Path;

use watchpost::event::Logged;
use watchpost::otel::{Told, Tracker};
use watchpost::store::{Limit, Store};

use super::daemon;

/// Every event in the store of that folder, in the order of the log, with what it told the fold.
pub(crate) fn told(dir: &Path) -> Vec<(Logged, Told)> {
    let store = Store::open(&daemon::store(dir)).expect("no daemon holds it");
    let (mut tracker, mut all) = (Tracker::default(), Vec::new());
    let mut offset = store.range().start;
    while offset < store.range().end {
        for logged in store.log(offset, Limit::events(1000)).expect("readable") {
            offset = logged.offset + 1;
            let told = tracker.apply(&logged.event);
            all.push((logged, told));
        }
    }
    all
}
