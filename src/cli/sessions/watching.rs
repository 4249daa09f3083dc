//! A session as it runs, printed line by line, with a bar for each level below on a terminal.

use std::io;
use std::time::{Duration, Instant};

use super::view::gauges::gauges;
use super::view::progress;
use super::view::waterfall::Room;
use crate::api::events::Row;
use crate::cli::line::{Clock, line_of_one};
use crate::cli::live::Live;
use crate::cli::out::Out;
use crate::event::Timestamp;
use crate::event::session::kind::SESSION_ENDED;
use crate::state::session::{Session, rates};

/// A terminal is drawn anew so often at the most.
const TOGETHER: Duration = Duration::from_millis(100);
/// So often it is drawn anew where nothing comes, as time goes by.
const AGAIN: Duration = Duration::from_millis(500);
/// Of its time one that draws a large session spends at most one part in so many with it.
const SHARE: u32 = 5;
/// The most lines that are held back meanwhile.
const MAX_HELD: usize = 1000;

/// Which time is the present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Present {
    /// That of the clock.
    Now,
    /// That of the last event, as the session is played again.
    Then,
}

/// What was seen of a session, and what of it is on the screen.
pub(in crate::cli) struct Watching {
    json: bool,
    present: Present,
    state: Session,
    ended: bool,
    held: Vec<String>,
    /// When it may be drawn again.
    next: Instant,
    live: Live,
}

impl Watching {
    /// Nothing was seen yet; `json`: events are printed as they are published, with nothing below.
    pub(in crate::cli) fn new(json: bool, present: Present) -> Self {
        Self {
            json,
            present,
            state: Session::default(),
            ended: false,
            held: Vec::new(),
            next: Instant::now(),
            live: Live::default(),
        }
    }

    /// Takes an event without printing it.
    pub(in crate::cli) fn skip(&mut self, row: &Row) {
        self.ended = row.logged.event.kind.as_str() == SESSION_ENDED;
        self.state.apply(&row.logged.event);
    }

    /// Takes an event and prints it; on a terminal it may be held until what was drawn before is old enough.
    pub(in crate::cli) fn take(&mut self, row: &Row, out: &mut Out) -> io::Result<()> {
        self.skip(row);
        if self.json {
            return out.line(&row.json);
        }
        let line = line_of_one(&row.logged.event, Clock::Time, out.colour);
        if out.size().is_none() {
            return out.line(line);
        }
        self.held.push(line);
        if self.held.len() < MAX_HELD { Ok(()) } else { self.draw(out) }
    }

    /// Shows what was taken so far, unless it is too early for that; answers when to show again.
    pub(in crate::cli) fn show(&mut self, out: &mut Out) -> io::Result<Duration> {
        if self.json || out.size().is_none() {
            out.flush()?;
            return Ok(AGAIN);
        }
        let now = Instant::now();
        if let Some(wait) = self.next.checked_duration_since(now).filter(|wait| !wait.is_zero()) {
            return Ok(wait);
        }
        self.draw(out)?;
        self.next = Instant::now() + TOGETHER.max(now.elapsed() * (SHARE - 1));
        Ok(AGAIN)
    }

    fn draw(&mut self, out: &mut Out) -> io::Result<()> {
        let area = match out.size() {
            Some((columns, rows)) => self.area(Room { columns, rows: rows / 2 }, out.colour),
            None => Vec::new(),
        };
        let held = std::mem::take(&mut self.held);
        self.live.draw(&held, &area, out)
    }

    /// Shows what is left, and takes away what stands below.
    pub(in crate::cli) fn end(&mut self, out: &mut Out) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.live.draw(&held, &[], out)
    }

    /// Whether the session has ended.
    pub(in crate::cli) fn ended(&self) -> bool {
        self.ended
    }

    /// What was seen of it.
    pub(in crate::cli) fn state(&self) -> &Session {
        &self.state
    }

    fn area(&self, room: Room, colour: bool) -> Vec<String> {
        let view = self.state.view();
        let then = view.updated.filter(|_| self.present == Present::Then);
        let now = then.unwrap_or_else(Timestamp::now);
        let foot = progress::foot(&view, &rates(&self.state, now));
        gauges(&progress::levels(&view), foot, room).iter().map(|line| line.render(colour)).collect()
    }
}
