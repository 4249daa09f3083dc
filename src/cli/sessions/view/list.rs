//! The list of sessions. Pure.

use super::{Fate, word};
use crate::cli::line::short;
use crate::cli::styled::{Line, Style};
use crate::event::Timestamp;
use crate::otel::body::amount::{count, took};
use crate::store::SessionInfo;

/// The columns of a status with its mark.
const STATUS: usize = 14;
/// A terminal with fewer columns gets short ids, and times without their seconds.
const WIDE: usize = 110;

/// A heading, then a line for each session. `now` is when those end that go on; `columns`: no line is wider.
pub(in crate::cli) fn lines(sessions: &[SessionInfo], now: Timestamp, columns: Option<usize>) -> Vec<Line> {
    let wide = columns.is_none_or(|columns| columns >= WIDE);
    let name = |session: &SessionInfo| {
        let id = session.id.as_str();
        if wide { id.to_owned() } else { short(id).to_owned() }
    };
    let id = sessions.iter().map(|session| name(session).len()).max().unwrap_or_default().max(2);
    let time = if wide { 19 } else { 16 };
    let numbers = |took: &str, events: &str| format!("{took:>12}{events:>9}  ");
    let heading =
        format!("{:id$}  {:STATUS$}{:time$}{}COMMAND", "ID", "STATUS", "STARTED", numbers("TOOK", "EVENTS"));
    let line = |session: &SessionInfo| {
        let fate = Fate::of(session.status);
        let start = session.start.to_string().replace('T', " ");
        let length = session.end.unwrap_or(now).as_millis().saturating_sub(session.start.as_millis());
        Line::plain(format!("{:id$}  ", name(session)))
            .join(Line::of(fate.style(), format!("{} {}", fate.mark(), word(session.status))).fit(STATUS))
            .text(start.get(..time).unwrap_or(&start))
            .text(numbers(&took(length), &count(session.events)))
            .text(session.command())
    };
    let all = std::iter::once(Line::of(Style::Dim, heading)).chain(sessions.iter().map(line));
    all.map(|line| columns.map_or(line.clone(), |columns| line.cut(columns))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Data, StreamId};
    use crate::store::Status;

    #[test]
    fn each_session_has_a_line() {
        let of = |id: &str, status, end: Option<i64>, data: &str| SessionInfo {
            id: StreamId::new(id).expect("an id"),
            start: Timestamp::from_millis(1_760_608_411_042),
            end: end.map(Timestamp::from_millis),
            status,
            events: 1234,
            segments: 1,
            trace: None,
            metadata: Data::parse(data.into()).expect("an object"),
        };
        let sessions = [
            of(
                "0199ec5e-8f2a-7c3d-9e4f-0123456789ab",
                Status::Active,
                None,
                r#"{"command_summary":"generate\nsrc"}"#,
            ),
            of("nightly-7", Status::Completed, Some(1_760_608_511_042), r#"{"name":"nightly"}"#),
            of("b", Status::Failed, Some(1_760_608_411_045), r#"{"command":"/bin/目录"}"#),
            of("c", Status::Interrupted, None, "{}"),
        ];
        let told = |columns| {
            let lines = lines(&sessions, Timestamp::from_millis(1_760_698_411_042), columns);
            lines.iter().map(|line| line.render(false) + "\n").collect::<String>()
        };
        insta::assert_snapshot!([told(None), told(Some(80))].join("\n"));
    }
}
