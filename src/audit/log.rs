//! The log, by windows that end between two moments of commit.

use super::Error;
use crate::api::events::Row;
use crate::api::filter::{Filter, MAX_LIMIT};
use crate::client::Reader;
use crate::event::Timestamp;

/// So many events a window has, and those of the same millisecond: as what is kept of them, some 5 MB.
pub(super) const WINDOW: usize = 20_000;

/// Reads the log, and keeps a `T` of each event.
pub(super) struct Log<'a, T> {
    reader: &'a Reader,
    filter: Filter,
    /// What was read and belongs to the next window.
    held: Window<T>,
    done: bool,
}

/// What is kept of events, with the time of their commit, in its order.
pub(super) type Window<T> = Vec<(Timestamp, T)>;

impl<'a, T> Log<'a, T> {
    /// The events that happened at that time or later.
    pub(super) fn new(reader: &'a Reader, since: Option<Timestamp>) -> Self {
        let filter = Filter { since, limit: Some(MAX_LIMIT), ..Filter::default() };
        Self { reader, filter, held: Vec::new(), done: false }
    }

    /// The next window; nothing at the end of the log.
    pub(super) async fn window(&mut self, keep: impl Fn(&Row) -> T) -> Result<Window<T>, Error> {
        let mut window = std::mem::take(&mut self.held);
        while !self.done {
            let page = self.reader.events(&self.filter).await?;
            window.extend(page.events.iter().map(|row| (row.logged.event.observed, keep(row))));
            self.done = page.next.is_none();
            self.filter.after = page.next;
            if window.len() >= WINDOW
                && let Some(held) = last_moment(&mut window)
            {
                self.held = held;
                break;
            }
        }
        Ok(window)
    }
}

/// Takes out the events of the last millisecond, as more of them may follow; nothing where there are no others.
fn last_moment<T>(window: &mut Window<T>) -> Option<Window<T>> {
    let last = window.last()?.0;
    let keep = window.partition_point(|(observed, _)| *observed < last);
    (keep > 0).then(|| window.split_off(keep))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_between_two_moments() {
        for (times, kept) in [(&[1, 1, 2, 3, 3][..], Some(3)), (&[1, 2], Some(1)), (&[2, 2, 2], None), (&[], None)]
        {
            let all: Window<()> = times.iter().map(|&time| (Timestamp::from_millis(time), ())).collect();
            let mut window = all.clone();
            let held = last_moment(&mut window);
            assert_eq!(held.as_ref().map(|_| window.len()), kept, "{times:?}");
            assert_eq!([window, held.unwrap_or_default()].concat(), all);
        }
    }
}
