//! The answers to lines on their way to the client.
//!
//! Many clients send their whole body before they read any answer. So answers that follow one another are kept as
//! one stretch, and the body is read on while nobody takes them; only when there are too many stretches is it left
//! unread until some are taken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::emit::{self, Fate};

/// The most stretches that wait: at most some 5 MiB where each is an error.
const MAX_WAITING: usize = 16_384;
/// So many lines are written at a time.
const PART: u64 = 1024;

/// Answers that stand together.
#[derive(Debug, PartialEq)]
enum Stretch {
    /// Of lines one behind the other, whose events stand one behind the other.
    Stored { line: u64, seq: u64, count: u64, duplicate: bool },
    /// One, as it is written.
    Other(String),
}

/// What the answer comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is whole.
    Whole,
    /// It is cut off: what was not answered has to be sent again.
    Cut,
}

#[derive(Default)]
struct Waiting {
    stretches: VecDeque<Stretch>,
    end: Option<End>,
    /// Whether nobody reads them any more.
    deserted: bool,
}

#[derive(Default)]
struct Inner {
    waiting: Mutex<Waiting>,
    changed: Notify,
    room: Notify,
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, fates: &[(u64, Fate)]) {
        let mut waiting = self.waiting();
        fates.iter().for_each(|(line, fate)| waiting.push(*line, fate));
        self.changed.notify_one();
    }
}

/// Who answers. Dropped without an end, the answer is cut off.
pub(super) struct Answers(Arc<Inner>);

/// Who reads the answers.
pub(super) struct Reader(Arc<Inner>);

/// Both ends.
pub(super) fn channel() -> (Answers, Reader) {
    let inner = Arc::<Inner>::default();
    (Answers(inner.clone()), Reader(inner))
}

impl Answers {
    /// Takes answers; then waits while too many wait to be read.
    pub(super) async fn push(&self, fates: &[(u64, Fate)]) {
        self.0.add(fates);
        while self.0.waiting().is_full() {
            self.0.room.notified().await;
        }
    }

    /// Nothing follows.
    pub(super) fn end(&self, end: End) {
        self.0.waiting().end.get_or_insert(end);
        self.0.changed.notify_one();
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.end(End::Cut);
    }
}

impl Reader {
    /// The next lines, as text; or what it came to.
    pub(super) async fn next(&mut self) -> Result<String, End> {
        loop {
            let changed = self.0.changed.notified();
            if let Some(text) = self.0.waiting().take() {
                self.0.room.notify_one();
                return Ok(text);
            }
            let end = self.0.waiting().end;
            match end {
                Some(end) => return Err(end),
                None => changed.await,
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.deserted = true;
        waiting.stretches.clear();
        drop(waiting);
        self.0.room.notify_one();
    }
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.stretches.len() > MAX_WAITING && !self.deserted
    }

    fn push(&mut self, line: u64, fate: &Fate) {
        if self.deserted {
            return;
        }
        let Ok(receipt) = fate else {
            let text = format!("{}\n", emit::answer(Some(line), fate));
            return self.stretches.push_back(Stretch::Other(text));
        };
        match self.stretches.back_mut() {
            Some(Stretch::Stored { line: first, seq, count, duplicate })
                if (*first + *count, *seq + *count, *duplicate) == (line, receipt.seq, receipt.duplicate) =>
            {
                *count += 1;
            }
            _ => {
                let (seq, duplicate) = (receipt.seq, receipt.duplicate);
                self.stretches.push_back(Stretch::Stored { line, seq, count: 1, duplicate });
            }
        }
    }

    /// Takes some lines as text, where there are any.
    fn take(&mut self) -> Option<String> {
        let (mut text, mut lines) = (String::new(), 0);
        while lines < PART {
            match self.stretches.front_mut() {
                Some(Stretch::Stored { line, seq, count, duplicate }) => {
                    text.push_str(&emit::stored(*line, *seq, *duplicate));
                    (*line, *seq, *count) = (*line + 1, *seq + 1, *count - 1);
                    if *count == 0 {
                        self.stretches.pop_front();
                    }
                }
                Some(Stretch::Other(other)) => {
                    text.push_str(other);
                    self.stretches.pop_front();
                }
                None => break,
            }
            lines += 1;
        }
        (lines > 0).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use uuid::Uuid;

    use super::*;
    use crate::api::Error;
    use crate::store::Receipt;

    fn stored(line: u64, seq: u64, duplicate: bool) -> (u64, Fate) {
        (line, Ok(Receipt { id: Uuid::nil(), offset: 0, seq, duplicate }))
    }

    #[tokio::test]
    async fn answers_come_out_as_they_went_in_and_those_in_a_row_take_one_place() {
        let (answers, mut reader) = channel();
        let bad = (4, Err(Error::field(StatusCode::BAD_REQUEST, "type", "no")));
        let fates = [
            stored(1, 2, false),
            stored(2, 3, false),
            stored(3, 4, true),
            bad,
            stored(6, 5, false),
            stored(7, 7, false),
        ];
        answers.push(&fates).await;
        let many: Vec<(u64, Fate)> = (8..500_008).map(|line| stored(line, line, false)).collect();
        answers.push(&many).await;
        assert_eq!(answers.0.waiting().stretches.len(), 5);
        answers.end(End::Whole);
        let mut text = String::new();
        let end = loop {
            match reader.next().await {
                Ok(lines) => text.push_str(&lines),
                Err(end) => break end,
            }
        };
        assert_eq!((end, text.lines().count()), (End::Whole, 500_006));
        let begin = "{\"line\":1,\"seq\":2}\n{\"line\":2,\"seq\":3}\n{\"line\":3,\"seq\":4,\"duplicate\":true}\n\
                     {\"error\":{\"field\":\"type\",\"message\":\"no\",\"status\":400},\"line\":4}\n{\"line\":6,\"seq\":5}\n";
        assert!(text.starts_with(begin), "{}", &text[..300]);
    }

    #[tokio::test]
    async fn too_many_that_nobody_reads_are_waited_for_until_somebody_reads_or_leaves() {
        let (answers, mut reader) = channel();
        let apart = |n: u64| stored(n, 2 * n, false);
        let many: Vec<(u64, Fate)> = (0..=MAX_WAITING as u64).map(apart).collect();
        let pushing = tokio::spawn(async move {
            answers.push(&many).await;
            answers.push(&many).await;
            answers
        });
        tokio::task::yield_now().await;
        assert!(!pushing.is_finished());
        reader.next().await.expect("some");
        drop(reader);
        let answers = pushing.await.expect("no panic");
        assert_eq!(answers.0.waiting().stretches.len(), 0);
    }

    #[tokio::test]
    async fn who_leaves_without_an_end_cuts_the_answer_off() {
        let (answers, mut reader) = channel();
        answers.push(&[stored(1, 2, false)]).await;
        drop(answers);
        assert_eq!(reader.next().await.as_deref(), Ok("{\"line\":1,\"seq\":2}\n"));
        assert_eq!(reader.next().await, Err(End::Cut));
    }
}
