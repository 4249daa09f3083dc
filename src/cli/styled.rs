//! Lines with colours, cut to a width. Pure.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::line::printable;

/// How a piece of a line looks, where there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As the terminal has it.
    Plain,
    /// Of little weight.
    Dim,
    /// A heading.
    Bold,
    /// Well done.
    Good,
    /// Under way.
    Busy,
    /// Not as it should be.
    Warn,
    /// Failed.
    Bad,
}

impl Style {
    /// Its code, which `\x1b[0m` ends.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Dim => Some("90"),
            Self::Bold => Some("1"),
            Self::Good => Some("32"),
            Self::Busy => Some("36"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// A line, made of pieces. What comes from data can be put in as it is: control characters are written out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    /// A line of one piece.
    pub(super) fn of(style: Style, text: impl AsRef<str>) -> Self {
        Self::default().add(style, text)
    }

    /// A plain line.
    pub(super) fn plain(text: impl AsRef<str>) -> Self {
        Self::of(Style::Plain, text)
    }

    /// With one more piece.
    pub(super) fn add(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.0.push((style, printable(text.as_ref())));
        self
    }

    /// With one more plain piece.
    pub(super) fn text(self, text: impl AsRef<str>) -> Self {
        self.add(Style::Plain, text)
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// Filled up with blanks, or cut, to so many columns.
    pub(super) fn fit(self, columns: usize) -> Self {
        let line = self.cut(columns);
        let missing = columns - line.width();
        line.text(" ".repeat(missing))
    }

    /// With all of another line behind it.
    pub(super) fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// No wider than so many columns; an ellipsis tells of a cut.
    pub(super) fn cut(self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut left = columns.saturating_sub(1);
        let mut kept = Self::default();
        for (style, text) in self.0 {
            let all = text.width();
            kept.0.push((style, head(&text, left).to_owned()));
            if all >= left {
                break;
            }
            left -= all;
        }
        if columns > 0 { kept.text("…") } else { kept }
    }

    /// As it is printed.
    pub(super) fn render(&self, colour: bool) -> String {
        let piece = |(style, text): &(Style, String)| match style.code().filter(|_| colour && !text.is_empty()) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text.clone(),
        };
        let line: String = self.0.iter().map(piece).collect();
        line.trim_end_matches(' ').to_owned()
    }
}

/// The beginning of a text that fits into so many columns.
fn head(text: &str, columns: usize) -> &str {
    let mut left = columns;
    for (at, c) in text.char_indices() {
        match left.checked_sub(c.width().unwrap_or(0)) {
            Some(rest) => left = rest,
            None => return &text[..at],
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_columns_that_there_are() {
        let check = |text: &str, columns: usize, expected: &str| {
            let line = Line::plain(text).cut(columns);
            assert_eq!((line.render(false).as_str(), line.width() <= columns), (expected, true), "{columns}");
        };
        check("orchestrator", 12, "orchestrator");
        check("orchestrator", 11, "orchestrat…");
        check("orchestrator", 1, "…");
        check("orchestrator", 0, "");
        check("目录/文件.rs", 6, "目录/…");
        check("目录/文件.rs", 5, "目录…");
        check("目录/文件.rs", 4, "目…");
    }

    #[test]
    fn a_cut_goes_through_pieces_and_fills_up() {
        let line = Line::of(Style::Good, "ab").add(Style::Bad, "cde");
        assert_eq!(line.clone().cut(4).render(true), "\x1b[32mab\x1b[0m\x1b[31mc\x1b[0m…");
        assert_eq!(line.clone().fit(7).text("|").render(false), "abcde  |");
        assert_eq!(line.fit(3).text("|").render(false), "ab…|");
    }

    #[test]
    fn no_data_drives_the_terminal() {
        assert_eq!(Line::plain("a\x1b[2J\r\n").render(true), "a\\u{1b}[2J\\r\\n");
    }
}
