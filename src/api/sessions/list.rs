//! `GET /api/sessions`: the list of sessions, and how it changes.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};

use super::wants_stream;
use crate::api::filter::{limit, time};
use crate::api::{Error, Follower, Shared, sse};
use crate::event::session::kind;
use crate::event::{Class, Invalid, Kind, Logged};
use crate::store::{self, Query, SessionInfo, SessionQuery, Status, Store};

/// The types of the events that change a session as a whole.
const CHANGES: [&str; 5] = [
    kind::SESSION_STARTED,
    kind::SESSION_ENDED,
    kind::SESSION_INTERRUPTED,
    kind::SESSION_RESUMED,
    kind::INGEST_FAILED,
];

/// Reads the query part of a URL.
///
/// # Errors
/// Names the parameter that is wrong.
pub fn parse(query: &str) -> Result<SessionQuery, Invalid> {
    let mut asked = SessionQuery::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "status" => {
                for status in value.split(',') {
                    asked.statuses.push(self::status(status)?);
                }
            }
            "since" => asked.since = Some(time("since", &value)?),
            "until" => asked.until = Some(time("until", &value)?),
            "command" => asked.command = Some(value.into_owned()),
            "after" => asked.after = Some(value.into_owned()),
            "limit" => asked.limit = limit(&value)?,
            _ => {
                let known = "the parameters status, since, until, command, limit or after";
                return Err(Invalid::new("query", &name, known));
            }
        }
    }
    Ok(asked)
}

/// Writes the query part of a URL, which [`parse`] reads back.
pub fn to_query(asked: &SessionQuery) -> String {
    let statuses = asked.statuses.iter().map(|status| ("status", word(*status).to_owned()));
    let single = [
        ("since", asked.since.map(|time| time.to_string())),
        ("until", asked.until.map(|time| time.to_string())),
        ("command", asked.command.clone()),
        ("limit", (asked.limit > 0).then(|| asked.limit.to_string())),
        ("after", asked.after.clone()),
    ];
    let single = single.into_iter().filter_map(|(name, value)| Some((name, value?)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(statuses.chain(single)).finish()
}

const STATUSES: [(Status, &str); 4] = [
    (Status::Active, "active"),
    (Status::Completed, "completed"),
    (Status::Failed, "failed"),
    (Status::Interrupted, "interrupted"),
];

/// Reads a status.
pub fn status(text: &str) -> Result<Status, Invalid> {
    let found = STATUSES.iter().find(|(_, word)| *word == text);
    found.map(|(status, _)| *status).ok_or_else(|| {
        Invalid::new("status", text, "active, completed, failed or interrupted, or several with commas between")
    })
}

fn word(status: Status) -> &'static str {
    STATUSES.iter().find(|(one, _)| *one == status).map_or("active", |(_, word)| word)
}

pub(in crate::api) async fn list(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let asked = parse(&query.unwrap_or_default())?;
    if wants_stream(&headers) {
        return follow(&shared, &headers, asked);
    }
    let page = shared.store.sessions(&asked)?;
    let mut headers = HeaderMap::new();
    if let Some(next) = page.next {
        let query = to_query(&SessionQuery { after: Some(next), ..asked });
        let link = HeaderValue::try_from(format!("</api/sessions?{query}>; rel=\"next\""));
        headers.extend(link.ok().map(|link| (header::LINK, link)));
    }
    Ok((headers, Json(page.sessions)).into_response())
}

/// The list as it is, then each session whenever it changes as a whole.
///
/// The id of a message is an offset, so that a reader that was cut off is told what has changed since. A change
/// is told whatever the status has become, so that a reader sees who leaves the list that it asked for.
fn follow(shared: &Shared, headers: &HeaderMap, asked: SessionQuery) -> Result<Response, Error> {
    let end = shared.store.range().end;
    let seen = sse::last_event_id(headers)?;
    if seen.is_some_and(|seen| seen >= end) {
        let expected = format!("a place in this log, which ends at {end}");
        return Err(Invalid::new("Last-Event-ID", "", expected).into());
    }
    // The end was read first: what changes while the list is read is told again.
    let from = seen.or(end.checked_sub(1));
    let listed = if seen.is_none() { shared.store.sessions(&asked)?.sessions } else { Vec::new() };
    let first = listed.iter().map(|session| message(session).map(|message| Event::default().data(message)));
    let mut first = first.collect::<Result<Vec<_>, _>>()?;
    first.extend(from.map(|from| Event::default().id(from.to_string())));
    let kinds = CHANGES.iter().map(Kind::new).collect::<Result<Vec<_>, _>>()?;
    let query = Query { kinds, after: from, ..Query::default() };
    let store = shared.store.clone();
    let changes = Changes { follower: Follower::new(store.clone(), query), store, asked };
    sse::answer(shared, first, changes)
}

/// The sessions that change.
struct Changes {
    follower: Follower,
    store: Store,
    asked: SessionQuery,
}

impl sse::Source for Changes {
    async fn next(&mut self) -> Result<Option<Event>, store::Error> {
        while let Some(logged) = self.follower.next().await? {
            if let Some(session) = self.changed(&logged)? {
                let event = Event::default().id(logged.offset.to_string());
                return Ok(Some(event.data(message(&session)?)));
            }
        }
        Ok(None)
    }
}

impl Changes {
    fn changed(&self, logged: &Logged) -> Result<Option<SessionInfo>, store::Error> {
        let id = &logged.event.session;
        let session = if id.class() == Class::Session { self.store.session(id)? } else { None };
        let SessionQuery { since, until, command, .. } = &self.asked;
        Ok(session.filter(|session| {
            let has = |part: &String| session.command().to_lowercase().contains(&part.to_lowercase());
            since.is_none_or(|since| session.start >= since)
                && until.is_none_or(|until| session.start < until)
                && command.as_ref().is_none_or(has)
        }))
    }
}

fn message(session: &SessionInfo) -> Result<String, store::Error> {
    serde_json::to_string(session).map_err(|error| store::Error::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing_are_inverse() {
        let text = "status=active&status=failed&since=2025-10-16T09%3A53%3A31.000Z&command=a+b&limit=7&after=1.x";
        assert_eq!(to_query(&parse(text).expect("a query")), text);
        assert_eq!(parse("status=active,failed").expect("a query").statuses, [Status::Active, Status::Failed]);
        assert_eq!(parse("").expect("a query"), SessionQuery::default());
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let check = |query: &str, field: &str| assert_eq!(parse(query).expect_err(query).field, field, "{query}");
        check("status=done", "status");
        check("since=now", "since");
        check("until=1", "until");
        check("limit=0", "limit");
        check("limit=1001", "limit");
        check("stauts=active", "query");
    }
}
