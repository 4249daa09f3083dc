//! What stores consecutive events: records of one stream, and the records of the log that name them.

use super::engine::{Op, Tree};
use super::record::{self, MAX_RUN, Run, Span};
use super::{Error, key, parts};
use crate::event::{Event, Offset};

/// Adds what stores consecutive events of one stream, each with its offset and whether a sender gave its id;
/// answers the span that they make.
pub(super) fn put_events<'a>(
    events: impl Iterator<Item = (&'a Event, Offset, bool)>,
    ops: &mut Vec<Op>,
) -> Result<Option<Span>, Error> {
    let mut span: Option<Span> = None;
    let (mut run, mut begin) = (Run::default(), 0);
    for (event, offset, sent_id) in events {
        let ts = event.ts.as_millis();
        let span = span.get_or_insert_with(|| {
            begin = event.seq;
            Span { session: event.session.clone(), first_seq: event.seq, count: 0, least_ts: ts, greatest_ts: ts }
        });
        span.count += 1;
        span.least_ts = span.least_ts.min(ts);
        span.greatest_ts = span.greatest_ts.max(ts);
        let packed = record::pack(event, offset, sent_id)?;
        if !run.push(&packed) {
            let full = std::mem::take(&mut run).into_value();
            parts::put(Tree::Events, &key::event(&event.session, begin), &full, ops);
            begin = event.seq;
            run.push(&packed);
        }
    }
    if let Some(span) = &span {
        parts::put(Tree::Events, &key::event(&span.session, begin), &run.into_value(), ops);
    }
    Ok(span)
}

/// Adds what says in the log where spans stand that follow one another from an offset on.
pub(super) fn put_log(first: Offset, spans: &[Span], ops: &mut Vec<Op>) -> Result<(), Error> {
    let mut offset = first;
    // A span takes at most 128 + 35 bytes.
    for spans in spans.chunks(MAX_RUN / 164) {
        ops.push(Op::put(Tree::Log, key::offset(offset), record::pack_spans(spans)?));
        offset += record::count(spans);
    }
    Ok(())
}
