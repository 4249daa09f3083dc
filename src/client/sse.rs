//! Server-sent events, read from bytes as they come. Pure.

/// The most bytes that one event may have: an event of Watchpost's own is far below.
const MAX_BYTES: usize = 1 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Message {
    /// Its id, empty where it has none.
    pub(super) id: String,
    /// Its type, empty for the usual one.
    pub(super) event: String,
    /// Its data.
    pub(super) data: String,
}

/// What is left of a stream between two reads.
#[derive(Debug, Default)]
pub(super) struct Parser {
    buffer: Vec<u8>,
}

impl Parser {
    /// Takes more bytes and gives the events that they complete; `None` when one grows too large.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<Vec<Message>> {
        self.buffer.extend(bytes.iter().filter(|byte| **byte != b'\r'));
        let mut messages = Vec::new();
        let mut start = 0;
        while let Some(length) = self.buffer[start..].windows(2).position(|pair| pair == b"\n\n") {
            let block = String::from_utf8_lossy(&self.buffer[start..start + length]);
            messages.extend(message(&block));
            start += length + 2;
        }
        self.buffer.drain(..start);
        (self.buffer.len() <= MAX_BYTES).then_some(messages)
    }
}

/// A block of lines as an event; comments alone make none. An id alone says where the reader stands.
fn message(block: &str) -> Option<Message> {
    let mut message = Message::default();
    let mut lines = 0;
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => message.id = value.into(),
            "event" => message.event = value.into(),
            "data" => {
                if lines > 0 {
                    message.data.push('\n');
                }
                message.data.push_str(value);
                lines += 1;
            }
            _ => {}
        }
    }
    (lines > 0 || !message.id.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, event: &str, data: &str) -> Message {
        Message { id: id.into(), event: event.into(), data: data.into() }
    }

    #[test]
    fn events_come_out_whole_wherever_the_bytes_are_cut() {
        let text =
            ":\n\nid: 6\n\nid: 7\ndata: {\"a\":\ndata: \"é\"}\n\n: beat\n\nevent: gap\ndata:1\r\n\r\nid: 8\nda";
        let expected = [message("6", "", ""), message("7", "", "{\"a\":\n\"é\"}"), message("", "gap", "1")];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let chunks = text.as_bytes().chunks(size);
            let got: Vec<Message> = chunks.flat_map(|chunk| parser.feed(chunk).expect("small")).collect();
            assert_eq!(got, expected, "{size}");
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut parser = Parser::default();
        let chunk = vec![b'x'; 300_000];
        assert!((0..3).all(|_| parser.feed(&chunk).is_some()));
        assert_eq!(parser.feed(&chunk), None);
    }
}
