//! What the stream of state changes told between two polls. It helps to tell a requested stop from a crash,
//! shows short runs and gives times; the polls stay the truth.

use crate::event::Timestamp;
use crate::process_compose::Process;

/// So many frames are kept between two polls; beyond that all of them are let go, and the polls decide alone.
pub const MAX_FRAMES: usize = 8192;

/// One frame as it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The process in it.
    pub process: Process,
    /// The state when the connection opened, not a change.
    pub snapshot: bool,
    /// When it came.
    pub at: Timestamp,
    /// The same in milliseconds since the boot.
    pub millis: u64,
    /// When its connection opened: a connection does not outlive its supervisor.
    pub connected: u64,
}

/// The frames since the last poll, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Hint {
    frames: Vec<Heard>,
    /// Since when frames have come without a break.
    whole_since: Option<u64>,
}

impl Hint {
    /// The connection opened.
    pub fn connected(&mut self, millis: u64) {
        self.whole_since = Some(millis);
    }

    /// The connection broke: what happens from here on is not heard.
    pub fn broken(&mut self) {
        self.whole_since = None;
    }

    /// Takes a frame.
    pub fn hear(&mut self, frame: Heard) {
        if self.frames.len() == MAX_FRAMES {
            self.frames.clear();
            self.whole_since = Some(frame.millis);
        }
        self.frames.push(frame);
    }

    /// Whether frames come.
    pub fn is_live(&self) -> bool {
        self.whole_since.is_some()
    }

    /// Whether everything since then was heard.
    pub fn is_whole_since(&self, millis: u64) -> bool {
        self.whole_since.is_some_and(|since| since <= millis)
    }

    /// All frames, oldest first.
    pub fn frames(&self) -> &[Heard] {
        &self.frames
    }

    /// Lets go of what came before that time: a poll sent then has used it.
    pub fn used_before(&mut self, millis: u64) {
        self.frames.retain(|frame| frame.millis >= millis);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(millis: u64) -> Heard {
        let (process, at) = (Process::default(), Timestamp::from_millis(0));
        Heard { process, snapshot: false, at, millis, connected: 0 }
    }

    #[test]
    fn too_many_frames_leave_the_polls_to_decide_alone() {
        let mut hint = Hint::default();
        hint.connected(5);
        for millis in 0..MAX_FRAMES as u64 {
            hint.hear(frame(10 + millis));
        }
        assert!(hint.is_whole_since(5));
        hint.hear(frame(20_000));
        assert_eq!((hint.frames().len(), hint.is_whole_since(5), hint.is_live()), (1, false, true));
    }

    #[test]
    fn a_poll_uses_what_came_before_it_was_sent() {
        let mut hint = Hint::default();
        for millis in [1, 2, 3] {
            hint.hear(frame(millis));
        }
        hint.used_before(2);
        assert_eq!(hint.frames().iter().map(|f| f.millis).collect::<Vec<_>>(), [2, 3]);
    }
}
