//! An event as one line for people: `HH:MM:SS.mmm icon text`. Pure.

mod icon;

use crate::event::process::kind;
use crate::event::{Class, Event, Severity, StreamId, Timestamp};
pub(super) use crate::otel::body::printable;
use crate::otel::{body, names};
use crate::search::Hit;

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
    write(&Told::of(event), &text(&event.session, body::text(event)), clock, colour)
}

/// The line of a session's event where it is plain which session is meant.
pub(super) fn line_of_one(event: &Event, clock: Clock, colour: bool) -> String {
    write(&Told::of(event), &body::text(event), clock, colour)
}

/// The line of an event of which there is the document.
pub(super) fn line_of_hit(hit: &Hit, clock: Clock, colour: bool) -> String {
    let of = |pointer: &str| hit.document.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default();
    let attribute = |name: &str| of(&format!("/attributes/{name}"));
    let stream = StreamId::new(attribute(names::STREAM_ID)).ok();
    let told = Told {
        ts: hit.time().unwrap_or_default(),
        class: stream.as_ref().map(StreamId::class),
        kind: attribute(names::EVENT_TYPE),
        severity: &of("/severity_text").to_owned().into(),
    };
    let body = of("/body/text").to_owned();
    let text = match &stream {
        Some(stream) => text(stream, body),
        None => body,
    };
    write(&told, &text, clock, colour)
}

/// What stands before the text.
struct Told<'a> {
    ts: Timestamp,
    class: Option<Class>,
    kind: &'a str,
    severity: &'a Severity,
}

impl<'a> Told<'a> {
    fn of(event: &'a Event) -> Self {
        let Event { ts, session, kind, severity, .. } = event;
        Self { ts: *ts, class: Some(session.class()), kind: kind.as_str(), severity }
    }
}

fn write(told: &Told<'_>, text: &str, clock: Clock, colour: bool) -> String {
    let stamp = told.ts.to_string().replace('T', " ");
    let stamp = stamp.trim_end_matches('Z');
    let stamp = if clock == Clock::Time { stamp.rsplit(' ').next().unwrap_or(stamp) } else { stamp };
    let (icon, code) = icon(told);
    let text = printable(text);
    match colour {
        true => format!("{stamp} \x1b[{code}m{icon}\x1b[0m {text}"),
        false => format!("{stamp} {icon} {text}"),
    }
}

/// The icon of a type, and the code of its colour.
fn icon(told: &Told<'_>) -> (char, &'static str) {
    if told.class == Some(Class::Session)
        && let Some(icon) = icon::of(told.kind)
    {
        return icon;
    }
    match (told.kind, told.severity) {
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

/// The text where there are events of several streams: which session it is of goes before it.
fn text(stream: &StreamId, body: String) -> String {
    match stream.class() {
        Class::Session => format!("{} {body}", short(stream.as_str())),
        _ => body,
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
    use crate::event::{Logged, testing};

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
    fn what_a_search_finds_reads_as_its_event() {
        let process = format!(r#"{{"process":"api","namespace":"default","exit_code":2,{STATE}}}"#);
        for (session, kind, data) in [
            ("proc-main-1", "crashed", process.as_str()),
            ("proc-main-1", "from_the_future", "{}"),
            ("0199ec5e-8f2a-7c3d-9e4f-0123456789ab", "level_started", r#"{"level_index":1,"total_count":1}"#),
            ("mine", "said", r#"{"what":"a\u001b[2Jb"}"#),
        ] {
            let event = event(session, kind, data);
            let (expected, logged) =
                (line(&event, Clock::Date, true), Logged { offset: 7, event: event.clone().into() });
            let document = crate::search::document(&logged);
            let hit = Hit { id: String::new(), after: String::new(), document };
            assert_eq!(line_of_hit(&hit, Clock::Date, true), expected);
        }
        let none = Hit { id: String::new(), after: String::new(), document: "no document".into() };
        assert_eq!(line_of_hit(&none, Clock::Time, false), "00:00:00.000 • ");
    }

    #[test]
    fn a_session_reads_as_a_story() {
        let mut kinds = std::collections::BTreeSet::new();
        let steps = Workload::default().steps().filter(|step| kinds.insert(step.kind));
        let texts = steps.map(|step| body::text(&event("mine", step.kind, &step.data)) + "\n");
        insta::assert_snapshot!(texts.collect::<String>());
    }
}
