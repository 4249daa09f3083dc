//! How far the levels of a session have come: a bar for each. Pure.

use super::Fate;
use super::bar::progress;
use super::waterfall::Room;
use crate::cli::styled::{Line, Style};
use crate::otel::body::amount::{count, things};

/// How far a level has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Gauge {
    /// What it is.
    pub(in crate::cli) name: String,
    /// How it fares.
    pub(in crate::cli) fate: Fate,
    /// Nodes that were generated.
    pub(in crate::cli) done: u64,
    /// Nodes that failed.
    pub(in crate::cli) failed: u64,
    /// Nodes in all, where that is known; else those that were heard of.
    pub(in crate::cli) total: u64,
}

/// The most columns of a name.
const NAME: usize = 30;
/// The most columns of a bar.
const BAR: usize = 40;

/// Draws a bar for each level, and `foot` below. Where there are more than rows, the last ones are shown.
pub(in crate::cli) fn gauges(gauges: &[Gauge], foot: Line, room: Room) -> Vec<Line> {
    let rows = room.rows.saturating_sub(1).max(1);
    let hidden = if gauges.len() > rows { gauges.len() - rows.saturating_sub(1).max(1) } else { 0 };
    let shown = &gauges[hidden..];
    let name = shown.iter().map(|gauge| Line::plain(&gauge.name).width()).max().unwrap_or_default().min(NAME);
    let counts: Vec<String> = shown.iter().map(counts).collect();
    let widest = counts.iter().map(|counts| counts.chars().count()).max().unwrap_or_default();
    let bar = room.columns.saturating_sub(name + widest + 6).min(BAR);
    let more = (hidden > 0 && rows > 1)
        .then(|| Line::of(Style::Dim, format!("  … {} before", things(hidden as u64, "level"))));
    let line = |(gauge, counts): (&Gauge, String)| {
        let head =
            Line::of(gauge.fate.style(), gauge.fate.mark()).text(" ").join(Line::plain(&gauge.name).fit(name));
        head.text("  ").join(progress(gauge.done, gauge.failed, gauge.total, bar)).text(format!("  {counts}"))
    };
    let lines = more.into_iter().chain(shown.iter().zip(counts).map(line)).chain([foot]);
    lines.map(|line| line.cut(room.columns)).collect()
}

fn counts(gauge: &Gauge) -> String {
    let failed = if gauge.failed > 0 { format!(", {} failed", count(gauge.failed)) } else { String::new() };
    format!("{}/{}{failed}", count(gauge.done), count(gauge.total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(level: u64, fate: Fate, done: u64, failed: u64, total: u64) -> Gauge {
        Gauge { name: format!("level {level}"), fate, done, failed, total }
    }

    #[test]
    fn the_last_levels_are_shown_where_there_is_little_room() {
        let levels = [
            gauge(0, Fate::Done, 1200, 0, 1200),
            gauge(1, Fate::Failed, 8, 2, 10),
            gauge(2, Fate::Busy, 3, 0, 12),
            gauge(3, Fate::Waiting, 0, 0, 0),
        ];
        let told = |columns, rows| {
            let lines = gauges(&levels, Line::plain("12 nodes a minute"), Room { columns, rows });
            assert!(lines.len() <= rows.max(2) && lines.iter().all(|line| line.width() <= columns));
            lines.iter().map(|line| line.render(false) + "\n").collect::<String>()
        };
        insta::assert_snapshot!([told(80, 20), told(40, 4), told(80, 2), told(10, 3)].join("\n"));
        (0..60).for_each(|columns| (0..8).for_each(|rows| drop(told(columns, rows))));
    }
}
