//! What the server said to one publish.

use serde::Deserialize;

use crate::sink::Error;

/// The fate of one message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// It is in the stream.
    Stored {
        /// Under this sequence.
        sequence: u64,
        /// And was there before.
        duplicate: bool,
    },
    /// This stream will never take it.
    Refused(String),
    /// The message before it is not the last in the stream.
    OutOfTurn(String),
    /// It was not taken now.
    Failed(Error),
}

#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<Complaint>,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Reads an acknowledgement; `no_responders`: the server said that nobody listens on that subject.
pub(super) fn read(payload: &[u8], no_responders: bool) -> Answer {
    if no_responders {
        return Answer::Failed(Error::Retryable("no stream takes this subject now".into()));
    }
    match serde_json::from_slice::<Ack>(payload) {
        Ok(Ack { error: Some(complaint), .. }) => classify(&complaint),
        Ok(Ack { seq, duplicate, .. }) if seq > 0 => Answer::Stored { sequence: seq, duplicate },
        _ => {
            let found: String = String::from_utf8_lossy(payload).chars().take(80).collect();
            Answer::Failed(Error::Retryable(format!("an answer that is no acknowledgement: {found:?}")))
        }
    }
}

/// Codes as in nats-server's `server/errors.json`.
fn classify(complaint: &Complaint) -> Answer {
    let Complaint { code, err_code, description } = complaint;
    let message = format!("{description} (error {err_code})");
    match err_code {
        // Wrong last message id; wrong last sequence, with and without the one it has.
        10070 | 10071 | 10164 => Answer::OutOfTurn(message),
        // The message, or its headers, are larger than the stream takes.
        10054 | 10097 => Answer::Refused(message),
        // Another stream answered for this subject; the stream is sealed; JetStream is off.
        10060 | 10109 | 10076 | 10039 => Answer::Failed(Error::Misconfigured(message)),
        // Any other complaint about the message itself.
        _ if *code == 400 && *err_code != 10077 => Answer::Refused(message),
        _ => Answer::Failed(Error::Retryable(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u64, err_code: u64) -> String {
        format!(r#"{{"error":{{"code":{code},"err_code":{err_code},"description":"no"}},"stream":"S","seq":0}}"#)
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let read = |text: &str| super::read(text.as_bytes(), false);
        let stored = |sequence, duplicate| Answer::Stored { sequence, duplicate };
        assert_eq!(read(r#"{"stream":"S","seq":7}"#), stored(7, false));
        assert_eq!(read(r#"{"stream":"S","seq":7,"duplicate":true}"#), stored(7, true));
        for code in [10070, 10071, 10164] {
            assert!(matches!(read(&error(400, code)), Answer::OutOfTurn(_)), "{code}");
        }
        for code in [10054, 10097, 10049] {
            assert!(matches!(read(&error(400, code)), Answer::Refused(_)), "{code}");
        }
        for code in [10060, 10109] {
            assert!(matches!(read(&error(400, code)), Answer::Failed(Error::Misconfigured(_))), "{code}");
        }
        for (code, err_code) in [(503, 10077), (400, 10077), (503, 10008), (500, 10047)] {
            assert!(matches!(read(&error(code, err_code)), Answer::Failed(Error::Retryable(_))), "{err_code}");
        }
        for text in ["", "<html>", "{}", r#"{"seq":0}"#] {
            assert!(matches!(read(text), Answer::Failed(Error::Retryable(_))), "{text}");
        }
        assert!(matches!(super::read(b"", true), Answer::Failed(Error::Retryable(_))));
    }
}
