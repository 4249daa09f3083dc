//! The second stream of JetStream: sessions, apart from processes.

use super::JetStream;
use crate::event::Pattern;

/// What the session stream takes: `core.session.{session}.{type}`.
pub const SESSION_SUBJECTS: &str = "core.session.>";

impl JetStream {
    /// The same section as the sink of sessions has it: another name and so another cursor, another stream with
    /// other subjects, and the rest alike. `None` where sessions are not sent.
    pub fn for_sessions(&self) -> Option<Self> {
        let stream = self.sessions.clone()?;
        Some(Self {
            name: format!("{}-sessions", self.name),
            stream,
            sessions: None,
            subjects: vec![SESSION_SUBJECTS.into()],
            ..self.clone()
        })
    }

    /// The sinks of this section, each with its own stream and cursor: of processes, and of sessions.
    pub fn streams(&self) -> impl Iterator<Item = Self> {
        std::iter::once(self.clone()).chain(self.for_sessions())
    }
}

/// What keeps the two streams from standing side by side: the key, what was expected and what was found.
pub(super) fn clash(sink: &JetStream) -> Option<(&'static str, String, String)> {
    let sessions = sink.sessions.as_ref()?;
    if *sessions == sink.stream {
        return Some(("session_stream", "a stream of its own, or off".into(), sessions.clone()));
    }
    let ours = Pattern::parse(SESSION_SUBJECTS).ok()?;
    let taken = |subject: &&String| Pattern::parse(subject).is_ok_and(|subject| subject.overlaps(&ours));
    let found = sink.subjects.iter().find(taken)?;
    let expected =
        format!("subjects that leave {SESSION_SUBJECTS} to the stream {sessions}, or `session_stream: off` beside");
    Some(("subjects", expected, found.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &str, subjects: &[&str], sessions: Option<&str>, key: Option<&str>) {
        let sink = JetStream {
            stream: stream.into(),
            subjects: subjects.iter().map(|subject| (*subject).into()).collect(),
            sessions: sessions.map(Into::into),
            ..JetStream::default()
        };
        assert_eq!(clash(&sink).map(|(key, ..)| key), key, "{stream} {subjects:?} {sessions:?}");
    }

    #[test]
    fn two_streams_never_claim_the_same_subjects() {
        check("P", &["core.process.>", "plant.>"], Some("S"), None);
        check("P", &["core.process.>"], Some("P"), Some("session_stream"));
        for wide in ["core.>", ">", "core.session.abc.*", "*.session.*.session_started", "core.*.*.*"] {
            check("P", &["core.process.>", wide], Some("S"), Some("subjects"));
            check("P", &[wide], None, None);
        }
    }

    #[test]
    fn the_sink_of_sessions_is_apart_in_name_stream_and_subjects_and_else_alike() {
        let processes = JetStream { required: false, window: 7, ..JetStream::default() };
        let sessions = processes.for_sessions().expect("on by default");
        assert_eq!((sessions.name.as_str(), sessions.stream.as_str()), ("jetstream-sessions", "SESSION_EVENTS"));
        assert_eq!(sessions.subjects, [SESSION_SUBJECTS]);
        assert_eq!((sessions.required, sessions.window, &sessions.nats), (false, 7, &processes.nats));
        assert_eq!(JetStream { sessions: None, ..processes }.for_sessions(), None);
    }
}
