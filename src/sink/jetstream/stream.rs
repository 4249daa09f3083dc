//! Making the stream, or adopting the one that is there.

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode};

use crate::cause::chain;
use crate::config::JetStream;
use crate::event::Pattern;
use crate::sink::Error;

/// Gets the stream, and makes it where there is none.
pub(super) async fn make_or_adopt(context: &Context, settings: &JetStream) -> Result<Stream, Error> {
    match context.get_stream(&settings.stream).await {
        Ok(stream) => return Ok(stream),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
            GetStreamErrorKind::JetStream(said) => return Err(classify(&said)),
            GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName => {
                return Err(Error::Misconfigured(format!("stream {:?}: {error}", settings.stream)));
            }
            GetStreamErrorKind::Request => return Err(Error::Retryable(asking(settings, &error))),
        },
    }
    match context.create_stream(wanted(settings)).await {
        Ok(stream) => {
            tracing::info!(stream = settings.stream, subjects = ?settings.subjects, "made the stream");
            Ok(stream)
        }
        Err(error) => Err(match error.kind() {
            CreateStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP => {
                Error::Misconfigured(taken_already(settings))
            }
            CreateStreamErrorKind::JetStream(said) => classify(&said),
            CreateStreamErrorKind::TimedOut | CreateStreamErrorKind::Response => {
                Error::Retryable(asking(settings, &error))
            }
            _ => Error::Misconfigured(asking(settings, &error)),
        }),
    }
}

fn taken_already(settings: &JetStream) -> String {
    format!(
        "stream {} cannot be made, as another stream of this server takes some of its subjects ({}): make that one \
         narrower, or send nothing there (jetstream.session_stream: off is for sessions)",
        settings.stream,
        settings.subjects.join(" ")
    )
}

fn asking(settings: &JetStream, error: &(dyn std::error::Error + 'static)) -> String {
    format!("JetStream did not answer for stream {} ({})", settings.stream, chain(error))
}

fn classify(error: &async_nats::jetstream::Error) -> Error {
    let message = error.to_string();
    match error.code() {
        // Among them: no quorum, no leader, resources used up for now.
        500 | 503 if !is_off(error.error_code()) => Error::Retryable(message),
        _ => Error::Misconfigured(message),
    }
}

fn is_off(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT)
}

/// The stream as we make it.
pub(super) fn wanted(settings: &JetStream) -> Config {
    Config {
        name: settings.stream.clone(),
        subjects: settings.subjects.clone(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_age: settings.max_age,
        // The server takes no longer one (error 10052).
        duplicate_window: match settings.max_age.is_zero() {
            true => settings.duplicate_window,
            false => settings.duplicate_window.min(settings.max_age),
        },
        num_replicas: settings.replicas,
        allow_direct: true,
        ..Config::default()
    }
}

/// What sets a stream apart from the one that we would make: one line each.
pub(super) fn differences(settings: &JetStream, found: &Config) -> Vec<String> {
    let wanted = wanted(settings);
    let mut lines = Vec::new();
    let mut differ = |name: &str, wanted: String, found: String| {
        if wanted != found {
            lines.push(format!("{name} is {found}, by the settings {wanted}"));
        }
    };
    differ("subjects", sorted(&wanted.subjects), sorted(&found.subjects));
    differ("retention", format!("{:?}", wanted.retention), format!("{:?}", found.retention));
    differ("storage", format!("{:?}", wanted.storage), format!("{:?}", found.storage));
    differ("max_age", format!("{:?}", wanted.max_age), format!("{:?}", found.max_age));
    differ("duplicate_window", format!("{:?}", wanted.duplicate_window), format!("{:?}", found.duplicate_window));
    differ("replicas", wanted.num_replicas.to_string(), found.num_replicas.to_string());
    differ("allow_direct", wanted.allow_direct.to_string(), found.allow_direct.to_string());
    differ("max_msgs", limit(wanted.max_messages), limit(found.max_messages));
    differ("max_bytes", limit(wanted.max_bytes), limit(found.max_bytes));
    differ("max_msg_size", limit(wanted.max_message_size.into()), limit(found.max_message_size.into()));
    let per_subject = limit(found.max_messages_per_subject);
    differ("max_msgs_per_subject", limit(wanted.max_messages_per_subject), per_subject);
    differ("discard", discard(&wanted), discard(found));
    differ("no_ack", "false".into(), found.no_ack.to_string());
    differ("sealed", "false".into(), found.sealed.to_string());
    lines
}

fn sorted(subjects: &[String]) -> String {
    let mut subjects = subjects.to_vec();
    subjects.sort();
    subjects.join(" ")
}

/// The server writes 0 as -1.
fn limit(limit: i64) -> String {
    if limit > 0 { limit.to_string() } else { "unlimited".into() }
}

fn discard(config: &Config) -> String {
    match config.discard {
        DiscardPolicy::Old => "old".into(),
        DiscardPolicy::New => "new".into(),
    }
}

/// What makes a stream of no use to us at all.
pub(super) fn unusable(info: &Info, subjects: &[Pattern]) -> Option<String> {
    let config = &info.config;
    let name = &config.name;
    let taken: Vec<Pattern> = config.subjects.iter().filter_map(|taken| Pattern::parse(taken).ok()).collect();
    if !taken.iter().any(|taken| subjects.iter().any(|wanted| taken.overlaps(wanted))) {
        let taken = config.subjects.join(" ");
        return Some(format!("stream {name} takes {taken}, which is nothing that would be sent there"));
    }
    if config.no_ack {
        return Some(format!("stream {name} acknowledges nothing (no_ack)"));
    }
    if config.sealed {
        return Some(format!("stream {name} is sealed"));
    }
    config.mirror.is_some().then(|| format!("stream {name} is a mirror"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stream_of_our_own_making_has_no_differences() {
        let settings = JetStream::default();
        let as_the_server_tells =
            Config { max_messages: -1, max_bytes: -1, max_message_size: -1, ..wanted(&settings) };
        assert_eq!(differences(&settings, &as_the_server_tells), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_one_line() {
        let settings = JetStream::default();
        let found = Config {
            subjects: vec!["core.>".into()],
            max_age: Duration::from_secs(60),
            max_message_size: 1024,
            storage: StorageType::Memory,
            ..wanted(&settings)
        };
        assert_eq!(
            differences(&settings, &found),
            [
                "subjects is core.>, by the settings core.process.> core.source.>",
                "storage is Memory, by the settings File",
                "max_age is 60s, by the settings 86400s",
                "max_msg_size is 1024, by the settings unlimited",
            ]
        );
    }

    #[test]
    fn the_dedup_window_is_never_longer_than_messages_are_kept() {
        let settings = JetStream { max_age: Duration::from_secs(10), ..JetStream::default() };
        assert_eq!(wanted(&settings).duplicate_window, Duration::from_secs(10));
    }
}
