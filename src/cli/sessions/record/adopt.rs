//! The lines of a new session: what a program prints of its own, or a session that was printed. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::Invalid;
use crate::event::input::Input;
use crate::event::session::kind;

/// What Watchpost writes itself, of the writer that a session had.
const OURS: [&str; 3] = [kind::SESSION_INTERRUPTED, kind::SESSION_RESUMED, kind::INGEST_FAILED];

/// What becomes of a line.
#[derive(Debug, PartialEq)]
pub(super) enum Adopted {
    /// It is an event of the new session.
    Event(String),
    /// It is its last one.
    End(String),
    /// It says nothing of the new session.
    Nothing,
}

/// The session that the lines were printed of, where they were.
#[derive(Debug, Default)]
pub(super) struct Adopting {
    from: Option<String>,
}

/// What a line says of itself.
#[derive(Default, Deserialize)]
struct Mark<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session: Option<Cow<'a, str>>,
}

impl Adopting {
    /// The first line as the beginning of the session; `None` where it is an event like any other.
    ///
    /// # Errors
    /// The field that is not as it has to be.
    pub(super) fn begin(&mut self, text: &str) -> Result<Option<Input>, Invalid> {
        let mark: Mark<'_> = serde_json::from_str(text).unwrap_or_default();
        if mark.kind.as_deref() != Some(kind::SESSION_STARTED) {
            return Ok(None);
        }
        self.from = mark.session.map(Cow::into_owned);
        Input::parse(text).map(Some)
    }

    /// A line behind the beginning. One that was printed of a session leaves that one's name and its own id
    /// there, as both are taken.
    ///
    /// # Errors
    /// It is of another session than those before.
    pub(super) fn line(&mut self, text: String) -> Result<Adopted, Invalid> {
        // What cannot be read is told by the daemon.
        let mark: Mark<'_> = serde_json::from_str(&text).unwrap_or_default();
        let is_end = mark.kind.as_deref() == Some(kind::SESSION_ENDED);
        let is_ours = mark.kind.as_deref().is_some_and(|kind| OURS.contains(&kind));
        let session = mark.session.map(Cow::into_owned);
        let text = match session {
            None => text,
            Some(session) => {
                let from = self.from.get_or_insert_with(|| session.clone());
                if *from != session {
                    return Err(Invalid::new("session", &session, format!("{from}, as in the lines before")));
                }
                if is_ours {
                    return Ok(Adopted::Nothing);
                }
                nameless(&text).unwrap_or(text)
            }
        };
        Ok(if is_end { Adopted::End(text) } else { Adopted::Event(text) })
    }
}

fn nameless(text: &str) -> Option<String> {
    let mut keys: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    keys.retain(|key, _| key != "session" && key != "id");
    serde_json::to_string(&keys).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(adopting: &mut Adopting, text: &str, expected: Option<Adopted>) {
        assert_eq!(adopting.line(text.into()).ok(), expected, "{text}");
    }

    fn event(text: &str) -> Option<Adopted> {
        Some(Adopted::Event(text.into()))
    }

    #[test]
    fn the_lines_of_a_program_stay_as_they_are() {
        let mut adopting = Adopting::default();
        for text in [r#"{"id":"a", "type":"x"}"#, "no JSON", r#"{"type":7}"#, r#"{"type":"session_resumed"}"#] {
            assert_eq!(adopting.begin(text), Ok(None), "{text}");
            check(&mut adopting, text, event(text));
        }
        let end = r#"{"type":"session_ended","data":{"status":"failed"}}"#;
        check(&mut adopting, end, Some(Adopted::End(end.into())));
    }

    #[test]
    fn the_lines_of_a_session_that_was_printed_become_those_of_the_new_one() {
        let mut adopting = Adopting::default();
        let started = r#"{"type":"session_started","session":"old","id":"1","data":{"command":"make"}}"#;
        let begun = adopting.begin(started).expect("well written").expect("a beginning");
        assert_eq!(begun.data.get(), r#"{"command":"make"}"#);
        let printed = r#"{"id":"2","session":"old","type":"x","data":{"session":"old", "id":1}}"#;
        check(&mut adopting, printed, event(r#"{"data":{"session":"old", "id":1},"type":"x"}"#));
        check(&mut adopting, r#"{"session":"old","type":"session_resumed"}"#, Some(Adopted::Nothing));
        check(&mut adopting, r#"{"session":"other","type":"x"}"#, None);
        let ended = Some(Adopted::End(r#"{"type":"session_ended"}"#.into()));
        check(&mut adopting, r#"{"session":"old","type":"session_ended"}"#, ended);
    }

    #[test]
    fn a_beginning_that_is_wrong_names_its_field() {
        let wrong = |text| Adopting::default().begin(text).expect_err(text).field;
        assert_eq!(wrong(r#"{"type":"session_started","data":7}"#), "data");
        assert_eq!(wrong(r#"{"type":"session_started","ts":"then"}"#), "ts");
    }
}
