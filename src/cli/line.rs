//! An event as one line for people: `HH:MM:SS.mmm icon text`. Pure.

mod icon;

use crate::event::process::kind;
use crate::event::{Class, Event, Severity};
use crate::otel::body;
pub(super) use crate::otel::body::printable;

/// How the time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// `HH:MM:SS.mmm`, UTC.
    Time,
    /// `YYYY-MM-DD HH:MM:SS.mmm`, UTC.
    Date,
}

/// The line of an event.
pub(super) fn line(event: &Event, clock: Clock, colour: bool) -> String {
    write(event, &text(event), clock, colour)
}

/// The line of a session's event where it is plain which session is meant.
pub(super) fn line_of_one(event: &Event, clock: Clock, colour: bool) -> String {
    write(event, &body::text(event), clock, colour)
}

fn write(event: &Event, text: &str, clock: Clock, colour: bool) -> String {
    let stamp = event.ts.to_string().replace('T', " ");
    let stamp = stamp.trim_end_matches('Z');
    let stamp = if clock == Clock::Time { stamp.rsplit(' ').next().unwrap_or(stamp) } else { stamp };
    let (icon, code) = icon(event);
    let text = printable(text);
    match colour {
        true => format!("{stamp} \x1b[{code}m{icon}\x1b[0m {text}"),
        false => format!("{stamp} {icon} {text}"),
    }
}

/// The icon of a type, and the code of its colour.
fn icon(event: &Event) -> (char, &'static str) {
    if event.session.class() == Class::Session
        && let Some(icon) = icon::of(event.kind.as_str())
    {
        return icon;
    }
    match (event.kind.as_str(), &event.severity) {
        (kind::STARTED, _) => ('▶', "32"),
        (kind::STOPPED, _) => ('■', "37"),
        (kind::CRASHED, _) => ('✖', "31"),
        (kind::RESTARTED, _) => ('↻', "36"),
        (kind::HEALTHY, _) => ('✔', "32"),
        (kind::UNHEALTHY, _) => ('!', "33"),
        (kind::STATUS_CHANGED, _) => ('·', "90"),
        ("source_down", _) => ('✖', "31"),
        ("source_up", _) => ('✔', "32"),
        (_, Severity::Error) => ('✖', "31"),
        (_, Severity::Warning) => ('!', "33"),
        (_, Severity::Debug) => ('·', "90"),
        _ => ('•', "37"),
    }
}

fn text(event: &Event) -> String {
    match event.session.class() {
        Class::Session => format!("{} {}", short(event.session.as_str()), body::text(event)),
        _ => body::text(event),
    }
}

/// Which session an event is of, in short: of a UUIDv7 as much as tells sessions of different milliseconds apart.
pub(super) fn short(session: &str) -> &str {
    let uuid = uuid::Uuid::try_parse(session).is_ok_and(|id| id.get_version_num() == 7);
    if uuid { session.get(..13).unwrap_or(session) } else { session }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Workload;
    use crate::event::testing;

    const STATE: &str = r#""state":{"name":"api","namespace":"default","status":"Completed","is_ready":"-",
        "has_ready_probe":false,"restarts":2,"exit_code":1,"is_running":false,"pid":41}"#;

    fn event(session: &str, kind: &str, data: &str) -> Event {
        let time: crate::event::Timestamp = "2025-10-16T09:53:31.042Z".parse().expect("a time");
        let subject = testing::subject(&format!("core.process.default.api.{kind}"));
        Event { ts: time, observed: time, subject, data: testing::data(data), ..testing::event(session, kind) }
    }

    fn check(kind: &str, more: &str, expected: &str) {
        let data = format!(r#"{{"process":"api","namespace":"default",{more}{STATE}}}"#);
        let event = event("proc-main-1", kind, &data);
        assert_eq!(line(&event, Clock::Time, false), format!("09:53:31.042 {expected}"));
    }

    #[test]
    fn each_type_says_what_happened() {
        check("started", "", "▶ default/api started, pid 41");
        check("started", r#""initial":true,"#, "▶ default/api runs already, pid 41");
        check("stopped", r#""exit_code":0,"reason":"exit","#, "■ default/api stopped, exit code 0");
        check(
            "crashed",
            r#""exit_code":143,"reason":"unhealthy","inferred":true,"#,
            "✖ default/api crashed, exit code 143, as its probe failed (inferred)",
        );
        check(
            "restarted",
            r#""by":"policy","restarts":3,"unseen":1,"#,
            "↻ default/api restarted by its policy, 3 so far, 1 of them unseen",
        );
        check("status_changed", r#""previous_status":"Running","#, "· default/api Running → Completed");
        check("from_the_future", "", "• core.process.default.api.from_the_future");
    }

    #[test]
    fn a_source_tells_how_it_fares() {
        let down = r#"{"source":"main","url":"http://a","failed_polls":3,"error":"refused"}"#;
        let down = event("source-main", "source_down", down);
        assert_eq!(
            line(&down, Clock::Date, false),
            "2025-10-16 09:53:31.042 ✖ source main is down after 3 polls: refused"
        );
        let sample = r#"{"source":"main","sample":1,"part":1,"parts":2,"processes":[
            {"process":"a","namespace":"default","mem":1,"cpu":0.5}]}"#;
        let sample = event("proc-main-1", "resources_sampled", sample);
        assert_eq!(line(&sample, Clock::Time, false), "09:53:31.042 • source main sampled 1 process, part 1 of 2");
        let listing = r#"{"source":"main","listing":1,"part":1,"parts":1,"processes":[
            {"process":"a","namespace":"default","depends_on":[{"process":"b","condition":"healthy"}]},
            {"process":"b","namespace":"default"}]}"#;
        let listing = event("proc-main-1", "dependencies_listed", listing);
        assert_eq!(line(&listing, Clock::Time, false), "09:53:31.042 • source main listed 2 processes");
        let up = event("source-main", "source_up", r#"{"source":"main","url":"","failed_polls":3,"down_ms":6540}"#);
        assert_eq!(
            line(&up, Clock::Time, true),
            "09:53:31.042 \x1b[32m✔\x1b[0m source main is up again after 6.5 s"
        );
    }

    #[test]
    fn a_session_is_named_where_there_are_several() {
        let of = |id: &str| event(id, "level_started", r#"{"level_index":1,"total_count":1}"#);
        let one = of("0199ec5e-8f2a-7c3d-9e4f-0123456789ab");
        assert_eq!(line(&one, Clock::Time, false), "09:53:31.042 ▶ 0199ec5e-8f2a level 1 started: 1 node");
        assert_eq!(line_of_one(&one, Clock::Time, false), "09:53:31.042 ▶ level 1 started: 1 node");
        assert_eq!(line(&of("mine"), Clock::Time, false), "09:53:31.042 ▶ mine level 1 started: 1 node");
    }

    #[test]
    fn a_session_reads_as_a_story() {
        let mut kinds = std::collections::BTreeSet::new();
        let steps = Workload::default().steps().filter(|step| kinds.insert(step.kind));
        let texts = steps.map(|step| body::text(&event("mine", step.kind, &step.data)) + "\n");
        insta::assert_snapshot!(texts.collect::<String>());
    }
}
