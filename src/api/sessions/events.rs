//! `GET /api/sessions/{id}/events`: the events of a session by seq, and those that come.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};

use super::{find, wants_stream};
use crate::api::events::Row;
use crate::api::filter::{DEFAULT_LIMIT, limit};
use crate::api::{Error, Shared, sse};
use crate::event::Invalid;
use crate::session::follow::Follow;
use crate::store::{self, Limit, SessionInfo};

/// Where to begin, and how many.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    from_seq: Option<From>,
    limit: Option<usize>,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Seq(u64),
    /// Behind what is there.
    Now,
}

fn parse(query: &str) -> Result<Asked, Invalid> {
    let mut asked = Asked::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "from_seq" if value == "now" => asked.from_seq = Some(From::Now),
            "from_seq" => asked.from_seq = Some(From::Seq(seq("from_seq", &value)?)),
            "limit" => asked.limit = Some(limit(&value)?),
            _ => return Err(Invalid::new("query", &name, "the parameters from_seq or limit")),
        }
    }
    Ok(asked)
}

/// Reads a seq.
pub(super) fn seq(field: &'static str, value: &str) -> Result<u64, Invalid> {
    let seq = value.parse().ok().filter(|seq| *seq > 0);
    seq.ok_or_else(|| Invalid::new(field, value, "a seq: a whole number from 1"))
}

pub(in crate::api) async fn list(
    State(shared): State<Shared>,
    Path(wanted): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let asked = parse(&query.unwrap_or_default())?;
    let session = find(&shared.store, &wanted)?;
    match wants_stream(&headers) {
        true => follow(&shared, &headers, &asked, session),
        false => page(&shared, &asked, &session),
    }
}

fn page(shared: &Shared, asked: &Asked, session: &SessionInfo) -> Result<Response, Error> {
    let from = match asked.from_seq {
        Some(From::Seq(seq)) => seq,
        Some(From::Now) => return Err(Invalid::new("from_seq", "now", "a seq, where nothing is followed").into()),
        None => 1,
    };
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
    let events = shared.store.stream(&session.id, from, Limit::events(limit))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let next = events.last().map(|last| last.event.seq + 1).filter(|next| *next <= session.events);
    if let Some(next) = next {
        let link = format!("</api/sessions/{}/events?from_seq={next}&limit={limit}>; rel=\"next\"", session.id);
        headers.extend(HeaderValue::try_from(link).ok().map(|link| (header::LINK, link)));
    }
    let rows: Vec<String> = events.into_iter().map(|logged| Row::new(logged).json).collect();
    Ok((headers, format!("[{}]", rows.join(","))).into_response())
}

/// What is there, then what comes; the id of a message is a seq. The stream ends with the session; who comes again
/// behind its end is answered 204, by which an `EventSource` knows that there is no more.
fn follow(shared: &Shared, headers: &HeaderMap, asked: &Asked, session: SessionInfo) -> Result<Response, Error> {
    let next = session.events + 1;
    let from = match (sse::last_event_id(headers)?, asked.from_seq) {
        (Some(seen), _) => seen.saturating_add(1),
        (None, Some(From::Seq(seq))) => seq,
        (None, Some(From::Now)) => next,
        (None, None) => 1,
    };
    if from > next {
        // Another session than the one that it comes from, as after a restore: better told than waited for.
        let expected = format!("a place in this session, which has {} events", session.events);
        return Err(Invalid::new("from_seq", &from.to_string(), expected).into());
    }
    if from == next && session.end.is_some() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = (from > 1).then(|| Event::default().id((from - 1).to_string()));
    sse::answer(shared, place, shared.tail.follow(session.id, from))
}

impl sse::Source for Follow {
    async fn next(&mut self) -> Result<Option<Event>, store::Error> {
        let row = Follow::next(self).await?.map(Row::new);
        Ok(row.map(|row| Event::default().id(row.logged.event.seq.to_string()).data(row.json)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_parameter_is_named() {
        let asked = parse("from_seq=7&limit=5").expect("a query");
        assert_eq!(asked, Asked { from_seq: Some(From::Seq(7)), limit: Some(5) });
        assert_eq!(parse("from_seq=now").expect("a query").from_seq, Some(From::Now));
        let check = |query: &str, field: &str| assert_eq!(parse(query).expect_err(query).field, field, "{query}");
        check("from_seq=0", "from_seq");
        check("from_seq=x", "from_seq");
        check("limit=1001", "limit");
        check("from=1", "query");
    }
}
