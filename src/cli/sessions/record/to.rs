//! Where recorded lines go: to the daemon, or behind what waits in the spool.

use uuid::Uuid;

use crate::cli::exit::{Exit, Failure};
use crate::cli::reach;
use crate::cli::sessions::outlet::{Outlet, Told};
use crate::client::sessions::{Refusal, Refused, Settings, Started, Writer};
use crate::config::Environment;
use crate::event::{Input, Invalid, StreamId, Timestamp};
use crate::source::spool::{Line, Place};

/// Where the lines go.
pub(super) enum To {
    /// To the daemon.
    Daemon(Writer),
    /// To the spool, as something waits there already, or no daemon is there.
    Spool(Place, StreamId),
}

impl To {
    /// The way to a session that is there.
    ///
    /// # Errors
    /// The daemon has no such session, or one that has ended.
    pub(super) async fn resume(
        id: StreamId,
        reach: &reach::Args,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let outlet = Outlet::new(reach, environment)?;
        let place = outlet.place(&id, environment);
        if place.is_there() {
            return Ok(Self::Spool(place, id));
        }
        // So that a session that is not there is told before anything is read.
        match (outlet.beat(&id).await, outlet.client) {
            (Told::No(error), _) => Err(error.into()),
            (Told::Answer(()), Some(client)) => {
                let started = Started { id, traceparent: String::new() };
                Ok(Self::Daemon(Writer::resume(client, started, Settings::default())))
            }
            (Told::Answer(()), None) => Err(Failure::says(Exit::Internal, "no daemon, and an answer of one")),
            (Told::Away(reason), _) => {
                tracing::warn!("{reason}; events of {id} go to {}", place.path().display());
                Ok(Self::Spool(place, id))
            }
        }
    }

    /// The session's id.
    pub(super) fn id(&self) -> &StreamId {
        match self {
            Self::Daemon(writer) => writer.id(),
            Self::Spool(_, id) => id,
        }
    }

    /// Takes a line, or says what is wrong with it.
    ///
    /// # Errors
    /// Nothing more can be taken.
    pub(super) async fn take(&self, number: u64, text: String) -> Result<Option<Refusal>, Failure> {
        let refusal = |reason: String| Ok(Some(Refusal { number, reason }));
        match self {
            Self::Daemon(writer) => match writer.line(number, text).await {
                Ok(()) => Ok(None),
                Err(Refused::Closed(reason)) => Err(Failure::says(Exit::Unavailable, reason)),
                Err(refused) => refusal(refused.to_string()),
            },
            Self::Spool(place, id) => match spooled(&text, id) {
                Ok(line) => {
                    let kept = place.append(&Line::Event(line));
                    kept.map(|()| None).map_err(|error| Failure::new(Exit::Unavailable, error))
                }
                Err(invalid) => refusal(invalid.to_string()),
            },
        }
    }

    /// What the daemon has refused since that was asked last.
    pub(super) fn refusals(&self) -> Vec<Refusal> {
        match self {
            Self::Daemon(writer) => writer.take_refusals(),
            Self::Spool(..) => Vec::new(),
        }
    }
}

/// A line with an id, so that it is stored once however often it is taken, and with its time, as it is taken later.
fn spooled(text: &str, of: &StreamId) -> Result<String, Invalid> {
    let input = Input::parse(text)?;
    let mut more = String::new();
    if input.id.is_none() {
        more.push_str(&format!("\"id\":\"{}\",", Uuid::now_v7()));
    }
    if input.ts.is_none() {
        more.push_str(&format!("\"ts\":\"{}\",", Timestamp::now()));
    }
    input.into_draft(of, None)?;
    // It is an object that has a type.
    Ok(text.replacen('{', &format!("{{{more}"), 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SenderId;

    #[test]
    fn what_is_spooled_has_an_id_and_a_time_and_is_what_it_was() {
        let of = StreamId::new("s").expect("an id");
        let check = |text: &str, id: bool, ts: bool| {
            let input = Input::parse(&spooled(text, &of).expect(text)).expect("an event");
            let same = input.id == SenderId::new("a").ok();
            assert_eq!((same, input.ts == Some(Timestamp::from_millis(0))), (id, ts), "{text}");
            assert!(input.id.is_some() && input.ts.is_some(), "{text}");
        };
        check(r#" {"type":"x","data":{}}"#, false, false);
        check(r#"{"type":"x","id":null,"ts":null}"#, false, false);
        check(r#"{"type":"x","id":"a"}"#, true, false);
        check(r#"{"type":"x","id":"a","ts":"1970-01-01T00:00:00.000Z"}"#, true, true);
        assert_eq!(spooled(r#"{"type":"x","session":"t"}"#, &of).expect_err("another one").field, "session");
    }
}
