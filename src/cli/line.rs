//! An event as one line for people: `HH:MM:SS.mmm icon text`. Pure.

mod session;

pub(super) use session::short;

use crate::event::process::{DependenciesData, ProcessData, Reason, ResourcesData, RestartedBy, kind};
use crate::event::source::SourceData;
use crate::event::{Class, Event, Severity};

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
    write(event, &session::text(event), clock, colour)
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
        && let Some(icon) = session::icon(event.kind.as_str())
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
    let known = match event.session.class() {
        Class::Process if event.kind.as_str() == kind::RESOURCES_SAMPLED => event.data.read().ok().map(sample),
        Class::Process if event.kind.as_str() == kind::DEPENDENCIES_LISTED => event.data.read().ok().map(listing),
        Class::Process => event.data.read().ok().and_then(|data| process(event.kind.as_str(), &data)),
        Class::Source => event.data.read().ok().and_then(|data| source(event.kind.as_str(), &data)),
        Class::Session => Some(format!("{} {}", session::short(event.session.as_str()), session::text(event))),
        _ => None,
    };
    known.unwrap_or_else(|| event.subject.to_string())
}

fn process(kind: &str, data: &ProcessData) -> Option<String> {
    let state = &data.state;
    let what = match kind {
        kind::STARTED if data.initial => format!("runs already{}", pid(state.pid)),
        kind::STARTED => format!("started{}", pid(state.pid)),
        kind::STOPPED => format!("stopped{}", ending(data)),
        kind::CRASHED => format!("crashed{}", ending(data)),
        kind::RESTARTED => restarted(data),
        kind::HEALTHY => "is healthy".into(),
        kind::UNHEALTHY => "is unhealthy".into(),
        kind::STATUS_CHANGED => match &data.previous_status {
            Some(before) => format!("{before} → {}", state.status),
            None => state.status.clone(),
        },
        _ => return None,
    };
    let inferred = if data.inferred { " (inferred)" } else { "" };
    Some(format!("{}/{} {what}{inferred}", data.namespace, data.process))
}

fn sample(data: ResourcesData) -> String {
    format!("source {} sampled {}{}", data.source, processes(data.processes.len()), part(data.part, data.parts))
}

fn listing(data: DependenciesData) -> String {
    let count = processes(data.processes.len());
    let waiting = data.processes.iter().filter(|process| !process.depends_on.is_empty()).count();
    format!("source {} listed {count}, {waiting} with dependencies{}", data.source, part(data.part, data.parts))
}

fn processes(count: usize) -> String {
    format!("{count} process{}", if count == 1 { "" } else { "es" })
}

fn part(part: u32, parts: u32) -> String {
    if parts > 1 { format!(", part {part} of {parts}") } else { String::new() }
}

fn pid(pid: i64) -> String {
    if pid > 0 { format!(", pid {pid}") } else { String::new() }
}

fn ending(data: &ProcessData) -> String {
    let code = data.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let reason = match data.reason {
        None | Some(Reason::Exit) => "",
        Some(Reason::Requested) => ", as asked",
        Some(Reason::Unhealthy) => ", as its probe failed",
        Some(Reason::LaunchError) => ", as it could not be launched",
        Some(Reason::Removed) => ", as it was removed",
        Some(Reason::Cancelled) => ", as its restart was called off",
        Some(Reason::SupervisorRestarted) => ", as its supervisor ended",
        Some(Reason::Ambiguous) => ", or was stopped",
    };
    code + reason
}

fn restarted(data: &ProcessData) -> String {
    let by = match data.by {
        Some(RestartedBy::Policy) => " by its policy",
        Some(RestartedBy::Manual) => " by hand",
        Some(RestartedBy::Watch) => " by a watch",
        Some(RestartedBy::Reconfigured) => " with a new configuration",
        None => "",
    };
    let count = data.restarts.filter(|count| *count > 0).map(|count| format!(", {count} so far"));
    let unseen = data.unseen.filter(|unseen| *unseen > 0).map(|unseen| format!(", {unseen} of them unseen"));
    format!("restarted{by}{}{}", count.unwrap_or_default(), unseen.unwrap_or_default())
}

fn source(kind: &str, data: &SourceData) -> Option<String> {
    let error = data.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    match kind {
        "source_down" => Some(format!("source {} is down after {} polls{error}", data.source, data.failed_polls)),
        "source_up" => {
            let seconds = data.down_ms.map(|ms| format!(" after {}.{} s", ms / 1000, ms % 1000 / 100));
            Some(format!("source {} is up again{}", data.source, seconds.unwrap_or_default()))
        }
        _ => None,
    }
}

/// With every control character written out, so that no name can drive the terminal, nor turn the order of what
/// stands beside it.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns =
            matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Data, Kind, Origin, StreamId, Subject};

    const STATE: &str = r#""state":{"name":"api","namespace":"default","status":"Completed","is_ready":"-",
        "has_ready_probe":false,"restarts":2,"exit_code":1,"is_running":false,"pid":41}"#;

    fn event(session: &str, kind: &str, data: &str) -> Event {
        let time: crate::event::Timestamp = "2025-10-16T09:53:31.042Z".parse().expect("a time");
        Event {
            id: uuid::Uuid::nil(),
            ts: time,
            observed: time,
            session: StreamId::new(session).expect("an id"),
            seq: 1,
            kind: Kind::new(kind).expect("a type"),
            subject: Subject::from_names("core.process", ["default", "api", kind]).expect("a subject"),
            severity: Severity::Info,
            origin: Origin::default(),
            correlation_id: None,
            trace: None,
            hops: 0,
            data: Data::parse(data.into()).expect("an object"),
        }
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
        assert_eq!(
            line(&listing, Clock::Time, false),
            "09:53:31.042 • source main listed 2 processes, 1 with dependencies"
        );
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
    fn no_name_drives_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("a\u{202e}b\u{9b}é"), "a\\u{202e}b\\u{9b}é");
    }
}
