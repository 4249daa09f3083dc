//! What an event of a session says, for people. Pure.

mod generation;
mod requests;

use generation::{level, plan};
use requests::{files, request};

use super::amount::{count, took};
use super::unknown;
use crate::event::session::{self as payload, Text, kind, read};

/// What happened.
pub(super) fn told(kind: &str, data: &str) -> String {
    let known = lifecycle(kind, data).or_else(|| plan(kind, data)).or_else(|| level(kind, data));
    let known = known.or_else(|| request(kind, data)).or_else(|| files(kind, data));
    known.unwrap_or_else(|| unknown(kind, data))
}

fn lifecycle(kind: &str, data: &str) -> Option<String> {
    Some(match kind {
        kind::SESSION_STARTED => {
            let started: payload::SessionStarted = read(data).value;
            let command = started.command_summary.or(started.name).or(started.command);
            format!("session started{}", command.map(|command| format!(": {command}")).unwrap_or_default())
        }
        kind::SESSION_ENDED => {
            let ended: payload::SessionEnded = read(data).value;
            let closed = if ended.closed == Some(true) { ", closed by a person" } else { "" };
            let code = ended.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
            format!("session ended: {}{code}{closed}{}", or(&ended.status, "-"), because(&ended.error))
        }
        kind::SESSION_INTERRUPTED => {
            let interrupted: payload::SessionInterrupted = read(data).value;
            match interrupted.reason.as_deref() {
                Some("idle") => {
                    let idle = interrupted.idle_ms.map(|ms| format!(" for {}", ms_took(ms))).unwrap_or_default();
                    format!("session interrupted: nothing was heard of its writer{idle}")
                }
                Some("writer_gone") => "session interrupted: its writer is gone".into(),
                reason => format!("session interrupted{}", reason.map(|r| format!(": {r}")).unwrap_or_default()),
            }
        }
        kind::SESSION_RESUMED => {
            let resumed: payload::SessionResumed = read(data).value;
            let away = resumed.away_ms.map(|ms| format!(" after {}", ms_took(ms))).unwrap_or_default();
            let segment = resumed.segment.map(|segment| format!(": segment {segment}")).unwrap_or_default();
            format!("session resumed{away}{segment}")
        }
        kind::INGEST_FAILED => {
            let failed: payload::IngestFailed = read(data).value;
            let long = failed.failing_ms.map(|ms| format!(" for {}", ms_took(ms))).unwrap_or_default();
            format!("no event could be committed{long}{}", because(&failed.error))
        }
        _ => return None,
    })
}

fn or<'a>(text: &'a Option<Text<'_>>, other: &'a str) -> &'a str {
    text.as_deref().unwrap_or(other)
}

fn node<'a>(path: &'a Option<Text<'_>>, id: &'a Option<Text<'_>>) -> &'a str {
    path.as_deref().or(id.as_deref()).unwrap_or("a node")
}

fn because(why: &Option<Text<'_>>) -> String {
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}

fn number(n: Option<u64>) -> String {
    n.map_or_else(|| "-".into(), count)
}

fn ms_took(ms: u64) -> String {
    took(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::UNKNOWN;
    use super::*;
    use crate::event::session::types;

    #[test]
    fn each_type_of_the_catalog_says_what_happened() {
        let lines = types().iter().map(|kind| format!("{}: {}\n", kind.name, told(kind.name, kind.example)));
        insta::assert_snapshot!(lines.collect::<String>());
        for kind in types() {
            assert!(!told(kind.name, "{}").starts_with(kind.name), "{}", kind.name);
        }
    }

    #[test]
    fn an_unknown_type_is_told_with_its_payload_and_no_wrong_field_spoils_a_line() {
        assert_eq!(told("lunch", r#"{"at":12}"#), r#"lunch {"at":12}"#);
        assert_eq!(told("lunch", &"é".repeat(300)).chars().count(), "lunch ".len() + UNKNOWN + 1);
        let wrong = r#"{"path":7,"node_id":"n-1","error":"lost"}"#;
        assert_eq!(told(kind::NODE_GENERATION_FAILED, wrong), "n-1 failed: lost");
    }
}
