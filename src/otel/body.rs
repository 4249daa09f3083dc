//! What an event says, in one line for a person. Pure.
//!
//! It is the body of the log record, and what the command line shows beside time and icon.

pub mod amount;
mod process;
mod session;

use crate::event::process::kind::{DEPENDENCIES_LISTED, RESOURCES_SAMPLED};
use crate::event::{Class, Event};

/// The most characters of a payload that nobody knows.
const UNKNOWN: usize = 200;

/// What happened. It may be as long as the payload, and has the control characters that stand there.
pub fn text(event: &Event) -> String {
    let kind = event.kind.as_str();
    let known = match event.session.class() {
        Class::Process if kind == RESOURCES_SAMPLED => event.data.read().ok().map(process::sample),
        Class::Process if kind == DEPENDENCIES_LISTED => event.data.read().ok().map(process::listing),
        Class::Process => event.data.read().ok().and_then(|data| process::process(kind, &data)),
        Class::Source => event.data.read().ok().and_then(|data| process::source(kind, &data)),
        Class::Session => Some(session::told(kind, event.data.get())),
        Class::Hub | Class::Observer => Some(unknown(event.subject.as_str(), event.data.get())),
    };
    known.unwrap_or_else(|| event.subject.to_string())
}

fn unknown(what: &str, data: &str) -> String {
    match data.char_indices().nth(UNKNOWN) {
        Some((end, _)) => [what, " ", &data[..end], "…"].concat(),
        None => [what, " ", data].concat(),
    }
}

/// With every control character written out, so that no name can drive a terminal, nor turn the order of what
/// stands beside it.
pub fn printable(text: &str) -> String {
    // Nearly every text is like that.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.to_owned();
    }
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
    use super::printable;

    #[test]
    fn no_name_drives_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("a\u{202e}b\u{9b}é"), "a\\u{202e}b\\u{9b}é");
    }
}
