//! The waterfall that a demo ends with.

use crate::cli::exit::Failure;
use crate::cli::out::Out;
use crate::cli::sessions::pages::Pages;
use crate::cli::sessions::view::calls::Calls;
use crate::cli::sessions::view::spans::spans;
use crate::cli::sessions::view::waterfall::{self, Room};
use crate::client::Reader;
use crate::event::{StreamId, Timestamp};

/// The room where no terminal is there.
const ROOM: Room = Room { columns: 100, rows: 40 };
/// So many rows of a terminal are left for what stands around.
const AROUND: usize = 6;

/// Draws a session.
pub(super) async fn waterfall(reader: &Reader, id: &StreamId, out: &mut Out) -> Result<(), Failure> {
    let shown = reader.session(id.as_str(), None).await?;
    let mut calls = Calls::default();
    let mut pages = Pages::new(reader, id, 1..shown.session.events + 1);
    while let Some(page) = pages.next().await? {
        page.iter().for_each(|row| calls.apply(&row.logged.event));
    }
    let spans = spans(&shown.state, &shown.session.command(), Some(&calls), Timestamp::now());
    let room = out.size().map_or(ROOM, |(columns, rows)| Room { columns, rows: rows.saturating_sub(AROUND) });
    out.line("")?;
    for line in waterfall::waterfall(&spans, room) {
        out.line(line.render(out.colour))?;
    }
    Ok(())
}
