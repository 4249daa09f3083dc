//! A body of JSON lines: the same lines however it is cut, and each line an event or an error that names a field.

use watchpost::event::input::Input;
use watchpost::event::{Draft, Event, StreamId};
use watchpost::source::jsonl::{Line, Lines};

/// The first byte tells into what pieces the rest, the body, is cut.
pub(super) fn check(bytes: &[u8]) {
    let Some((size, body)) = bytes.split_first() else { return };
    let whole = lines([body]);
    assert_eq!(lines(body.chunks(usize::from(*size).max(1))), whole);
    let session = StreamId::new("s-1").expect("an id");
    for text in whole.iter().filter_map(|line| line.text.as_deref().ok()) {
        match Input::parse(text).and_then(|input| input.into_draft(&session, None)) {
            Ok(draft) => sent_again(draft),
            Err(error) => assert!(!error.field.is_empty() && !error.expected.is_empty(), "{error}"),
        }
    }
}

fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Line> {
    let mut lines = Lines::default();
    let mut all: Vec<Line> = pieces.into_iter().flat_map(|piece| lines.feed(piece)).collect();
    all.extend(lines.finish());
    all
}

/// The event that a draft becomes is read back equal, and can be sent as it was read.
fn sent_again(draft: Draft) {
    let event = Event {
        id: draft.id.as_ref().map(|id| id.event_id(&draft.session)).unwrap_or_default(),
        ts: draft.ts.unwrap_or_default(),
        observed: draft.ts.unwrap_or_default(),
        session: draft.session,
        seq: 1,
        kind: draft.kind,
        subject: draft.subject,
        severity: draft.severity,
        origin: draft.origin,
        correlation_id: draft.correlation_id,
        trace: draft.trace,
        hops: draft.hops,
        data: draft.data,
    };
    let json = event.published();
    assert_eq!(Event::from_published(&json).expect(&json), event);
    let again = Input::parse(&json).and_then(|input| input.into_draft(&event.session, None)).expect(&json);
    assert_eq!((&again.kind, &again.severity, &again.origin), (&event.kind, &event.severity, &event.origin));
    assert_eq!((again.ts, again.correlation_id, again.hops), (Some(event.ts), event.correlation_id, event.hops));
    assert_eq!((&again.trace, &again.data), (&event.trace, &event.data));
    assert_eq!(again.id.map(|id| id.event_id(&event.session)), Some(event.id));
}
