//! What the model says to a batch, and how the store's answers are held against that.

use std::sync::Arc;

use uuid::Uuid;
use watchpost::event::{Draft, Offset};
use watchpost::store::{Outcome, Refused, Submission};

use super::state::{Entry, Record, State};

/// What the model says about one submission.
pub(super) struct Expected {
    answers: Result<Vec<Answer>, Option<&'static str>>,
    pub(super) records: Vec<(Record, Option<Vec<u8>>)>,
}

/// What the model says about one draft.
enum Answer {
    /// It is new: its place among the new ones of the batch.
    New(usize),
    /// It is this one again.
    Again(Arc<Entry>),
    /// It is one of the same batch again.
    AgainNew(usize),
}

impl State {
    /// What the model says to a batch, and the new drafts in it with their seqs.
    pub(super) fn expect(&self, submissions: &[Submission]) -> (Vec<Expected>, Vec<(Draft, u64)>) {
        let mut new: Vec<(Draft, u64)> = Vec::new();
        let expected = submissions.iter().map(|submission| {
            let before = new.len();
            let answers: Result<Vec<Answer>, _> =
                submission.drafts.iter().map(|draft| self.expect_draft(draft, &mut new)).collect();
            let bad = submission.writes.iter().any(|write| write.key.is_empty());
            let answers = answers.and_then(|answers| if bad { Err(None) } else { Ok(answers) });
            if answers.is_err() {
                new.truncate(before);
                return Expected { answers, records: Vec::new() };
            }
            let records = submission.writes.iter();
            let records = records.map(|write| ((write.tree, write.key.clone()), write.value.clone())).collect();
            Expected { answers, records }
        });
        (expected.collect(), new)
    }

    fn expect_draft(&self, draft: &Draft, new: &mut Vec<(Draft, u64)>) -> Result<Answer, Option<&'static str>> {
        if let Some(id) = &draft.id {
            let same = |other: &Draft| {
                let same = draft.data == other.data;
                if same { Ok(()) } else { Err(first_difference(draft, other)) }
            };
            if let Some(entry) = self.sent(&draft.session, id) {
                if self.is_trimmed(entry) {
                    // Its id is remembered, its content is not.
                    return Ok(Answer::Again(entry.clone()));
                }
                return same(&entry.draft).map(|()| Answer::Again(entry.clone()));
            }
            let earlier = new.iter().position(|(d, _)| d.session == draft.session && d.id.as_ref() == Some(id));
            if let Some(earlier) = earlier {
                return same(&new[earlier].0).map(|()| Answer::AgainNew(earlier));
            }
        }
        let before = new.iter().filter(|(other, _)| other.session == draft.session).count() as u64;
        new.push((draft.clone(), self.next_seq(&draft.session) + before));
        Ok(Answer::New(new.len() - 1))
    }
}

/// The first field that differs, as the store names it.
fn first_difference(a: &Draft, b: &Draft) -> Option<&'static str> {
    let fields = [("type", a.kind != b.kind), ("subject", a.subject != b.subject), ("ts", a.ts != b.ts)];
    fields.into_iter().find(|(_, differs)| *differs).map_or(Some("data"), |(field, _)| Some(field))
}

/// Notes where the new events came to stand.
pub(super) fn place(outcome: &Outcome, expected: &Expected, placed: &mut [Option<(Offset, Uuid)>]) {
    let (Ok(receipts), Ok(answers)) = (outcome, &expected.answers) else { return };
    for (receipt, answer) in receipts.iter().zip(answers) {
        if let Answer::New(place) = answer {
            placed[*place] = Some((receipt.offset, receipt.id));
        }
    }
}

/// Holds the store's answer against the model's.
pub(super) fn compare(outcome: &Outcome, expected: &Expected, new: &[Arc<Entry>]) {
    match (outcome, &expected.answers) {
        (Ok(receipts), Ok(answers)) => {
            assert_eq!(receipts.len(), answers.len(), "one receipt a draft");
            for (receipt, answer) in receipts.iter().zip(answers) {
                let (entry, duplicate) = match answer {
                    Answer::New(place) => (&new[*place], false),
                    Answer::AgainNew(place) => (&new[*place], true),
                    Answer::Again(entry) => (entry, true),
                };
                let found = (receipt.id, receipt.offset, receipt.seq, receipt.duplicate);
                assert_eq!(found, (entry.id, entry.offset, entry.seq, duplicate), "the receipt");
            }
        }
        (Err(Refused::Conflict { field, .. }), Err(Some(expected))) => assert_eq!(field, expected, "the field"),
        (Err(Refused::Invalid { .. }), Err(None)) => {}
        (outcome, answers) => {
            panic!("the store says {outcome:?}, the model {:?}", answers.as_ref().map(Vec::len));
        }
    }
}
