//! Bars of a length. Pure.

use crate::cli::styled::{Line, Style};

/// A bar of so many columns for what is done, and failed, of a total.
pub(in crate::cli) fn progress(done: u64, failed: u64, total: u64, columns: usize) -> Line {
    let total = total.max(done.saturating_add(failed)).max(1);
    let ended = share(done.saturating_add(failed), total, columns);
    // What failed is seen, however little it is of all.
    let bad = share(failed, total, columns).max(usize::from(failed > 0)).min(ended.max(usize::from(failed > 0)));
    let good = ended.saturating_sub(bad);
    Line::of(Style::Good, "█".repeat(good))
        .add(Style::Bad, "█".repeat(bad))
        .add(Style::Dim, "░".repeat(columns.saturating_sub(good + bad)))
}

/// The part of so many columns, rounded down: full only when all is.
fn share(part: u64, total: u64, columns: usize) -> usize {
    usize::try_from(u128::from(part) * columns as u128 / u128::from(total)).unwrap_or(columns).min(columns)
}

/// A bar from one time to another in half columns, of a whole of so many columns; one half column at least.
pub(in crate::cli) fn stretch(from: i64, until: i64, whole: (i64, i64), columns: usize) -> String {
    let halves = columns * 2;
    let length = i128::from(whole.1.saturating_sub(whole.0).max(1));
    let place = |time: i64, up: bool| {
        let scaled = i128::from(time.saturating_sub(whole.0).max(0)) * halves as i128;
        let scaled = if up { (scaled + length - 1) / length } else { scaled / length };
        usize::try_from(scaled).unwrap_or(halves).min(halves)
    };
    let start = place(from, false).min(halves.saturating_sub(1));
    let end = place(until, true).max(start + 1);
    let cell = |column: usize| {
        let covered = |half: usize| (start..end).contains(&half);
        match (covered(column * 2), covered(column * 2 + 1)) {
            (true, true) => '█',
            (true, false) => '▌',
            (false, true) => '▐',
            (false, false) => ' ',
        }
    };
    (0..columns).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_when_all_is_done_and_shows_any_failure() {
        let told = |done, failed, total| progress(done, failed, total, 8).render(true).replace("\x1b[", "");
        let check = |(done, failed, total), expected: &str| assert_eq!(told(done, failed, total), expected);
        check((0, 0, 0), "90m░░░░░░░░0m");
        check((8, 0, 8), "32m████████0m");
        check((99, 0, 100), "32m███████0m90m░0m");
        check((998, 2, 1000), "32m███████0m31m█0m");
        check((0, 1, 1000), "31m█0m90m░░░░░░░0m");
        check((5, 0, 2), "32m████████0m");
        check((u64::MAX, 5, 1), "32m███████0m31m█0m");
    }

    #[test]
    fn a_stretch_lies_where_its_time_was() {
        let told = |from, until| stretch(from, until, (1000, 2000), 10);
        assert_eq!(told(1000, 2000), "██████████");
        assert_eq!(told(1050, 1100), "▐         ");
        assert_eq!(told(1100, 1250), " █▌       ");
        assert_eq!(told(1999, 1999), "         ▐");
        assert_eq!(told(0, 9000), "██████████");
        assert_eq!(told(5000, 1), "         ▐");
        assert_eq!(stretch(0, 0, (0, 0), 2), "▌ ");
        assert_eq!(stretch(0, 0, (0, 0), 0), "");
    }
}
