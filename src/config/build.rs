//! Tree to settings: each section read, then what must hold between the keys.

use std::collections::HashMap;
use std::time::Duration;

use super::mistake::{Mistake, Place};
use super::read::Section;
use super::session_stream;
use super::tree::{Node, Value};
use super::value;
use super::{
    Api, Drain, Endpoint, Environment, JetStream, Listen, Nats, NatsAuth, ProcessCompose, Session, Settings, Store,
    otlp,
};

type Told<'a> = &'a mut Vec<Mistake>;

pub(super) fn settings(root: &Node, environment: &Environment, told: Told) -> Settings {
    let top = Section::new("", root, String::new(), told);
    let nothing = Node::empty_map();
    let node = |key: &str| root.get(key).map_or(&nothing, |entry| &entry.node);
    let has_otlp = has_section(root, "otlp");
    let otlp_section = (has_otlp || otlp::read::is_asked_for(environment))
        .then(|| Section::new("otlp", node("otlp"), "otlp".into(), told));
    let process_compose = supervisors(node("process_compose"), environment, told);
    let settings = Settings {
        store: store(&Section::new("store", node("store"), "store".into(), told), told),
        jetstream: has_section(root, "jetstream").then(|| {
            let section = Section::new("jetstream", node("jetstream"), "jetstream".into(), told);
            jetstream(&section, &process_compose, environment, told)
        }),
        process_compose,
        telemetry: {
            let section = Section::new("telemetry", node("telemetry"), "telemetry".into(), told);
            let everything = has_otlp || otlp::read::asks_for_all(environment);
            otlp::read::telemetry(&section, otlp_section.as_ref().filter(|_| everything), environment, told)
        },
        otlp: otlp_section.map(|section| otlp::read::otlp(&section, has_otlp, environment, told)),
        elasticsearch: has_section(root, "elasticsearch").then(|| {
            let section = Section::new("elasticsearch", node("elasticsearch"), "elasticsearch".into(), told);
            otlp::read::elasticsearch(&section, environment, told)
        }),
        session: session(&Section::new("session", node("session"), "session".into(), told), told),
        api: api(&Section::new("api", node("api"), "api".into(), told), environment, told),
        drain_deadline: Drain(top.read("drain_deadline", value::duration, Drain::default().0, told)),
    };
    if let Some((name, section, first)) = name_that_comes_twice(&settings) {
        // What else is wrong in it was told when it was read.
        let section = Section::new(section, node(section), section.into(), &mut Vec::new());
        told.push(section.mistake("name", format!("a name that no sink of the section {first} has"), &name));
    }
    settings
}

/// A sink that has the name of another one, with both sections. Each has its cursor under its name, so two of one
/// name would skip each other's events.
fn name_that_comes_twice(settings: &Settings) -> Option<(String, &'static str, &'static str)> {
    let jetstream = settings.jetstream.iter().flat_map(JetStream::streams).map(|sink| ("jetstream", sink.name));
    let signals = |name: &str| ["logs", "spans", "metrics"].map(|signal| ("otlp", format!("{name}-{signal}")));
    let otlp = settings.otlp.iter().flat_map(|otlp| signals(&otlp.name));
    let elasticsearch = settings.elasticsearch.iter().map(|sink| ("elasticsearch", sink.name.clone()));
    let mut known = HashMap::new();
    jetstream
        .chain(otlp)
        .chain(elasticsearch)
        .find_map(|(section, name)| known.insert(name.clone(), section).map(|first| (name, section, first)))
}

/// Whether a section is there, be it empty.
fn has_section(root: &Node, name: &str) -> bool {
    root.entries().iter().any(|entry| entry.key == name)
}

fn store(section: &Section<'_>, told: Told) -> Store {
    let default = Store::default();
    let store = Store {
        dir: section.read("dir", value::path, default.dir, told),
        max_bytes: section.optional("max_bytes", value::size, told),
        min_free: section.read("min_free", value::size, default.min_free, told),
        unsafe_fs: section.read("unsafe_fs", value::flag, default.unsafe_fs, told),
        keep_streams: section.read("keep_streams", value::duration, default.keep_streams, told),
        keep_sessions: section.read("keep_sessions", value::duration, default.keep_sessions, told),
        max_sessions: section.read("max_sessions", value::count::<0, { u32::MAX }>, 500, told).into(),
        cache_bytes: section.read("cache_bytes", value::size, default.cache_bytes, told),
    };
    if let Some(bytes) = store.max_bytes.filter(|bytes| *bytes < 16 << 20) {
        told.push(section.mistake("max_bytes", "at least 16MiB", &value::write_size(bytes)));
    }
    store
}

fn session(section: &Section<'_>, told: Told) -> Session {
    let default = Session::default();
    let after = default.ingest_failed_after;
    Session {
        idle: section.read("idle", value::duration, default.idle, told),
        ingest_failed_after: section.read("ingest_failed_after", value::duration, after, told),
        max_rate: section.read("max_rate", value::count::<1, 1_000_000>, default.max_rate, told),
        spool: section.read("spool", value::path, default.spool, told),
    }
}

fn supervisors(node: &Node, environment: &Environment, told: Told) -> Vec<ProcessCompose> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(entries) if entries.is_empty() => &[],
        _ => {
            told.push(Mistake::new(&node.place, "process_compose", "a list of supervisors", ""));
            &[]
        }
    };
    let read = items.iter().enumerate().map(|(i, item)| {
        let section = Section::new("process_compose", item, format!("process_compose[{i}]"), told);
        supervisor(&section, environment, told)
    });
    let all: Vec<ProcessCompose> = read.collect();
    for (second, source) in all.iter().enumerate() {
        let clash = all[..second].iter().find_map(|first| clash(first, source));
        if let Some((key, expected, found)) = clash {
            let path = format!("process_compose[{second}].{key}");
            let place = items[second].get(key).map_or(&items[second].place, |entry| &entry.place);
            told.push(Mistake::new(place, &path, expected, &found));
        }
    }
    all
}

/// What two supervisors may not have in common: the name, and any subject.
fn clash(first: &ProcessCompose, second: &ProcessCompose) -> Option<(&'static str, String, String)> {
    if first.name == second.name {
        return Some(("name", "a name that no other supervisor has".into(), second.name.clone()));
    }
    let apart = match (&first.namespace, &second.namespace) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    };
    if apart || first.subject_prefix != second.subject_prefix {
        return None;
    }
    let expected = format!(
        "a subject_prefix of its own, or a namespace of its own for both, as `{}` could produce the same subjects",
        first.name
    );
    Some(("subject_prefix", expected, second.subject_prefix.clone()))
}

fn supervisor(section: &Section<'_>, environment: &Environment, told: Told) -> ProcessCompose {
    let default = ProcessCompose::default();
    section.at_most_one(&["url", "socket"], told);
    let socket = section.optional("socket", value::path, told).map(Endpoint::Socket);
    let url = section.optional("url", value::http_url, told).map(Endpoint::Url);
    let poll_interval = section.read("poll_interval", value::duration, default.poll_interval, told);
    let timeout = default.timeout.min(poll_interval * 3 / 4).max(Duration::from_millis(1));
    let supervisor = ProcessCompose {
        name: section.read("name", value::name, default.name, told),
        endpoint: socket.or(url).unwrap_or(default.endpoint),
        token: section.secret("token", environment, told),
        poll_interval,
        timeout: section.read("timeout", value::duration, timeout, told),
        down_after: section.read("down_after", value::count::<1, 1000>, default.down_after, told),
        sample_interval: section.read("sample_interval", value::optional_duration, default.sample_interval, told),
        subject_prefix: section.read("subject_prefix", subject_prefix, default.subject_prefix, told),
        namespace: section.optional("namespace", value::text, told),
    };
    if supervisor.timeout >= poll_interval {
        let expected = format!("less than the poll_interval of {}", value::write_duration(poll_interval));
        told.push(section.mistake("timeout", expected, &value::write_duration(supervisor.timeout)));
    }
    supervisor
}

/// A prefix under which no other class of event has its subjects.
fn subject_prefix(word: &str) -> value::Parsed<String> {
    let tokens: Vec<&str> = word.split('.').collect();
    let taken = match tokens.as_slice() {
        ["hub", ..] | ["core"] => true,
        ["core", second, ..] => *second != "process",
        _ => false,
    };
    match crate::event::Subject::parse(word) {
        Ok(_) if taken => {
            Err("a prefix that is not kept for other events (core.process, or none of core and hub)".into())
        }
        Ok(_) if tokens.len() > 8 => Err("a prefix of at most 8 tokens".into()),
        Ok(_) => Ok(word.into()),
        Err(error) => Err(error.expected),
    }
}

fn jetstream(section: &Section<'_>, from: &[ProcessCompose], environment: &Environment, told: Told) -> JetStream {
    let default = JetStream::default();
    let sink = JetStream {
        name: section.read("name", value::name, default.name, told),
        nats: nats(section, environment, told),
        stream: section.read("stream", value::stream_name, default.stream, told),
        subjects: section.list("subjects", value::pattern, told).unwrap_or_else(|| subjects(from)),
        sessions: section.read("session_stream", session_stream_name, default.sessions, told),
        max_age: section.read("max_age", value::duration, default.max_age, told),
        duplicate_window: section.read("duplicate_window", value::duration, default.duplicate_window, told),
        replicas: section.read("replicas", value::amount::<1, 5>, default.replicas, told),
        window: section.read("window", value::amount::<1, 8192>, default.window, told),
        resources: section.read("resources", value::flag, default.resources, told),
        required: section.read("required", value::flag, default.required, told),
    };
    if let Some((key, expected, found)) = session_stream::clash(&sink) {
        told.push(section.mistake(key, expected, &found));
    }
    if sink.duplicate_window > sink.max_age {
        let expected = format!("at most the max_age of {}", value::write_duration(sink.max_age));
        told.push(section.mistake("duplicate_window", expected, &value::write_duration(sink.duplicate_window)));
    }
    sink
}

/// The name of the sessions' stream, or `off`.
fn session_stream_name(word: &str) -> value::Parsed<Option<String>> {
    match word {
        "off" => Ok(None),
        _ => value::stream_name(word).map(Some).map_err(|expected| format!("{expected}, or off")),
    }
}

/// The subjects of the stream: ours, and the prefix of each supervisor that lies outside them.
fn subjects(supervisors: &[ProcessCompose]) -> Vec<String> {
    let mut subjects = JetStream::default().subjects;
    for supervisor in supervisors {
        let subject = format!("{}.>", supervisor.subject_prefix);
        let within = |pattern: &String| subject.starts_with(pattern.trim_end_matches('>'));
        if !subjects.iter().any(within) {
            subjects.push(subject);
        }
    }
    subjects
}

fn nats(section: &Section<'_>, environment: &Environment, told: Told) -> Nats {
    let default = Nats::default();
    Nats {
        url: section.read("url", value::nats_url, default.url, told),
        name: section.read("client_name", value::text, default.name, told),
        auth: nats_auth(section, environment, told),
        ca_file: section.optional("ca_file", value::path, told),
        tls: section.read("tls", value::flag, default.tls, told),
    }
}

fn nats_auth(section: &Section<'_>, environment: &Environment, told: Told) -> NatsAuth {
    let credentials = section.optional("credentials_file", value::path, told).map(NatsAuth::Credentials);
    let nkey = section.optional("nkey_file", value::path, told).map(NatsAuth::Nkey);
    let token = section.secret("token", environment, told).map(NatsAuth::Token);
    let user = section.optional("user", value::text, told);
    let password = section.secret("password", environment, told);
    let given = ["password", "password_file"].into_iter().find(|key| section.has(key));
    match (section.has("user"), given) {
        (true, None) => told.push(section.mistake("user", "a password beside it", "")),
        (false, Some(key)) => told.push(section.mistake(key, "a user beside it", "")),
        _ => {}
    }
    let user = user.zip(password).map(|(user, password)| NatsAuth::User { user, password });
    let given: Vec<NatsAuth> = [credentials, nkey, token, user].into_iter().flatten().collect();
    if given.len() > 1 {
        let expected = "only one of credentials_file, nkey_file, user with password, and token";
        told.push(section.mistake("", expected, &format!("{} of them", given.len())));
    }
    given.into_iter().next().unwrap_or_default()
}

fn api(section: &Section<'_>, environment: &Environment, told: Told) -> Api {
    let default = Api::default();
    let api = Api {
        listen: section.read("listen", value::listen, default.listen, told),
        token: section.secret("token", environment, told),
        hosts: section.list("hosts", value::text, told).unwrap_or_default(),
    };
    let exposed = match &api.listen {
        Listen::Tcp(address) => (!value::is_loopback(address)).then(|| address.to_string()),
        Listen::Socket(_) | Listen::Off => None,
    };
    let names_token = ["token", "token_file", "token_env"].iter().any(|key| section.has(key));
    if let Some(address) = exposed.filter(|_| !names_token) {
        told.push(section.mistake("listen", "a loopback address, or a token_file beside it", &address));
    }
    api
}

/// Refuses a tree whose top is no map at all.
pub(super) fn is_map(root: &Node, file: &str, told: Told) -> bool {
    let map = matches!(root.value, Value::Map(_) | Value::Nothing);
    if !map {
        told.push(Mistake::new(&Place::File(file.into(), 1), "", "a map of keys", ""));
    }
    map
}
