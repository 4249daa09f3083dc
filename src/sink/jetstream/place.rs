//! Where a connection takes up: what of ours is in the stream, and whether something was lost there.

use async_nats::jetstream::stream::Info;
use uuid::Uuid;

use super::mark::{self, Found, Heal, Mark};
use super::tail::{self, Reader, Tail};
use crate::event::{Offset, Timestamp};
use crate::sink::Error;

/// A sink that never wrote: whatever ids stand in the stream count as delivered.
pub(super) async fn first_time(
    reader: &Reader,
    info: &Info,
    offset: Offset,
) -> Result<(Offset, Mark, Tail), Error> {
    let last = info.state.last_sequence;
    let mut tail = Tail::new(last.saturating_sub(tail::MAX_KEPT as u64), last);
    tail.read_on(reader, None).await?;
    if !tail.is_complete() {
        tracing::warn!(stream = info.config.name, "too long to be read at once: older events may come twice");
        tail = Tail::new(last, last);
    }
    let id = tail::id_at(reader, last).await?.flatten();
    let mark = Mark { writer: Uuid::new_v4(), created: created(info), sequence: last, id, heal: None };
    Ok((offset, mark, tail))
}

/// A sink that comes back: looks whether all is there that was confirmed, and what came after it.
pub(super) async fn again(
    reader: &Reader,
    info: &Info,
    offset: Offset,
    mut mark: Mark,
) -> Result<(Offset, Mark, Tail), Error> {
    let found = Found {
        created: created(info),
        last: info.state.last_sequence,
        id: tail::id_at(reader, mark.sequence).await?,
    };
    let offset = match mark::loss(&mark, &found) {
        None => offset,
        Some(reason) => go_back(reader, info, offset, &mut mark, &reason).await?,
    };
    let mut tail = Tail::new(mark.sequence, found.last);
    tail.read_on(reader, Some(mark.writer)).await?;
    match tail.clear_to() {
        Some((sequence, Some(id))) => mark.confirm(sequence, id),
        _ if tail.len() > 0 => {
            tracing::info!(stream = info.config.name, events = tail.len(), "found in the stream, unconfirmed");
        }
        _ => {}
    }
    Ok((offset, mark, tail))
}

/// Puts the mark on the newest of our messages that is there, and answers the offset that follows it.
async fn go_back(
    reader: &Reader,
    info: &Info,
    offset: Offset,
    mark: &mut Mark,
    reason: &str,
) -> Result<Offset, Error> {
    let state = &info.state;
    let newest = tail::newest(reader, mark.writer, state.first_sequence, state.last_sequence).await?;
    let max_age = i64::try_from(info.config.max_age.as_millis()).unwrap_or(i64::MAX);
    let until = mark.heal.as_ref().map_or(offset, |heal| heal.until.max(offset));
    let (sequence, id, back) = match newest {
        Some((sequence, id, newest)) => (sequence, Some(id), offset.min(newest + 1)),
        None => (state.last_sequence, tail::id_at(reader, state.last_sequence).await?.flatten(), 0),
    };
    *mark = Mark {
        writer: mark.writer,
        created: created(info),
        sequence,
        id,
        heal: (back < until).then(|| Heal {
            until,
            not_before: (max_age > 0).then(|| Timestamp::now().plus_millis(-max_age)),
            sent: 0,
        }),
    };
    tracing::warn!(
        stream = info.config.name,
        cursor = offset,
        back_to = back,
        events = offset - back,
        "the stream has lost what it had confirmed, as {reason}; the store fills the hole"
    );
    Ok(back)
}

fn created(info: &Info) -> i64 {
    i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or_default()
}
