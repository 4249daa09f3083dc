//! JSON lines out of bytes that come in pieces, wherever they are cut. Pure.

use crate::event::{Invalid, MAX_EVENT_BYTES};

/// The most bytes of a line: an event, and what its envelope may have beside.
pub const MAX_LINE: usize = MAX_EVENT_BYTES + 4096;

/// A line that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1; blank lines count, and are not given.
    pub number: u64,
    /// Its text without the white space around it, or why it is none: `line` where it is too long, `event` where it
    /// is no UTF-8.
    pub text: Result<String, Invalid>,
}

/// Bytes on their way to lines; at most one line is in memory, and of one that is too long not even that.
#[derive(Debug, Default)]
pub struct Lines {
    /// How many lines have begun before the one that is being read.
    ended: u64,
    partial: Vec<u8>,
    /// Whether the line that is being read was too long, so that the rest of it is passed over.
    over: bool,
}

impl Lines {
    /// Takes the next bytes and gives the lines that they end.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    lines.extend(self.take(end));
                    lines.extend(self.end());
                }
                None => lines.extend(self.take(piece)),
            }
        }
        lines
    }

    /// The last line, where it has no line break behind it; to be called when the bytes ended as they should.
    pub fn finish(&mut self) -> Option<Line> {
        self.end()
    }

    /// Takes a part of a line, and gives the line at once where it has become too long.
    fn take(&mut self, part: &[u8]) -> Option<Line> {
        if self.over {
            return None;
        }
        if self.partial.len() + part.len() <= MAX_LINE {
            self.partial.extend_from_slice(part);
            return None;
        }
        self.over = true;
        self.partial = Vec::new();
        let text = Err(Invalid::new("line", "", format!("at most {MAX_LINE} bytes")));
        Some(Line { number: self.ended + 1, text })
    }

    fn end(&mut self) -> Option<Line> {
        self.ended += 1;
        let bytes = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.over) {
            return None;
        }
        let first = self.ended == 1;
        let bytes = if first { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes) } else { &bytes };
        let bytes = bytes.trim_ascii();
        let text = || match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(Invalid::new("event", &String::from_utf8_lossy(bytes), format!("UTF-8 ({error})"))),
        };
        (!bytes.is_empty()).then(|| Line { number: self.ended, text: text() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(body: &[u8]) -> Vec<Line> {
        let mut lines = Lines::default();
        let mut all = lines.feed(body);
        all.extend(lines.finish());
        all
    }

    fn check(body: &[u8], expected: &[(u64, Option<&str>)]) {
        let lines = whole(body);
        let told: Vec<_> = lines.iter().map(|line| (line.number, line.text.as_deref().ok())).collect();
        assert_eq!(told, expected, "{:?}", String::from_utf8_lossy(&body[..body.len().min(80)]));
    }

    #[test]
    fn lines_are_counted_and_blank_ones_are_not_given() {
        check(b"", &[]);
        check(b"\n\r\n \n", &[]);
        check(b"{}", &[(1, Some("{}"))]);
        check(b"{}\n", &[(1, Some("{}"))]);
        check(b"\xef\xbb\xbf{} \r\n\n\ta", &[(1, Some("{}")), (3, Some("a"))]);
        check(b"a\nb\xff\nc", &[(1, Some("a")), (2, None), (3, Some("c"))]);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_error_and_holds_no_memory() {
        let mut body = vec![b'x'; MAX_LINE + 1];
        body.extend_from_slice(b"\nb");
        check(&body, &[(1, None), (2, Some("b"))]);
        body.remove(0);
        let text = String::from_utf8(vec![b'x'; MAX_LINE]).expect("ASCII");
        check(&body, &[(1, Some(&text)), (2, Some("b"))]);
        let mut lines = Lines::default();
        let told: usize = (0..1000).map(|_| lines.feed(&[b'x'; 1000]).len()).sum();
        assert_eq!((told, lines.partial.capacity()), (1, 0));
    }

    /// A body of lines good and bad, and where it is cut.
    fn bodies() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
        let line = prop_oneof![
            6 => "\\{\"type\":\"[a-z]{1,8}\",\"data\":\\{\"a\":\"é[ a-z]{0,20}\"\\}\\}".prop_map(String::into_bytes),
            1 => Just(b"\xff\xfe".to_vec()),
            1 => Just(b" \t".to_vec()),
            1 => (MAX_LINE - 2..MAX_LINE + 3).prop_map(|length| vec![b'x'; length]),
        ];
        let end = prop_oneof![4 => Just(b"\n".to_vec()), 1 => Just(b"\r\n".to_vec()), 1 => Just(b"\n\n".to_vec())];
        let body = prop::collection::vec((line, end), 0..12)
            .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end].concat()).collect::<Vec<u8>>());
        body.prop_flat_map(|body| {
            let cuts = prop::collection::vec(0..=body.len(), 0..20);
            let kept = 0..=body.len().min(3);
            (Just(body), cuts, kept)
        })
        .prop_map(|(mut body, cuts, cut_off)| {
            body.truncate(body.len() - cut_off);
            (body, cuts)
        })
    }

    proptest! {
        #[test]
        fn any_split_of_a_body_gives_the_same_lines((body, mut cuts) in bodies()) {
            cuts.retain(|cut| *cut <= body.len());
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let mut lines = Lines::default();
            let mut split: Vec<Line> = cuts.windows(2).flat_map(|cut| lines.feed(&body[cut[0]..cut[1]])).collect();
            split.extend(lines.finish());
            prop_assert_eq!(split, whole(&body));
        }
    }
}
