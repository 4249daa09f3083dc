//! Settings to YAML: the example with its comments, and what is in force with its secrets masked.

use super::schema::{KEYS, Key, SECTIONS};
use super::value::{write_duration, write_size};
use super::{
    Elasticsearch, Endpoint, Exporter, JetStream, Listen, NatsAuth, Otlp, ProcessCompose, Secret, Session,
    Settings, Store, Telemetry, otlp,
};

const HEAD: &str = "\
# Watchpost. Every key is here; those with a value show their default, and may be left out.
# A key can be set in the environment too, and an option wins over both:
#   store.dir            WATCHPOST_STORE_DIR
#   process_compose.url  WATCHPOST_PROCESS_COMPOSE_URL (where there is one supervisor)
# Durations: 250ms, 2s, 5m, 1h, 30d. Sizes: 64KiB, 256MiB, 10GiB. Check with: watchpost config check FILE
";

/// Sections that the example shows as comments, as they send to servers that may not be there.
const OPTIONAL: [&str; 2] = ["otlp", "elasticsearch"];

/// A full configuration with comments, which reads as the defaults with one supervisor and JetStream.
pub fn example() -> String {
    let settings = Settings {
        otlp: Some(Otlp::default()),
        elasticsearch: Some(Elasticsearch::default()),
        telemetry: Telemetry { exporter: Some(Exporter::default()) },
        ..Settings::adapter()
    };
    let mut out = HEAD.to_owned();
    for (section, about) in SECTIONS {
        for line in about.lines() {
            out.push_str(&format!("{}# {line}\n", if about.starts_with(line) { "\n" } else { "" }));
        }
        let text = section_of(section, &settings);
        match OPTIONAL.contains(&section) {
            true => out.extend(text.lines().map(|line| format!("# {line}\n"))),
            false => out.push_str(&text),
        }
    }
    for key in keys_of("") {
        let value = value_of(key, &settings, 0).unwrap_or_default();
        out.push_str(&format!("\n# {}\n{}: {value}\n", key.about, key.path));
    }
    out
}

/// One section with its comments; keys without a default are comments themselves.
pub(super) fn section_of(section: &str, settings: &Settings) -> String {
    let mut out = format!("{section}:\n");
    for (i, key) in keys_of(section).enumerate() {
        let (item, indent) = indents(section, i);
        for line in key.about.lines() {
            out.push_str(&format!("{indent}# {line}\n"));
        }
        let value = value_of(key, settings, 0).filter(|_| !["store.dir", "session.spool"].contains(&key.path));
        out.push_str(&match value {
            Some(value) => format!("{item}{}: {value}\n", key.name()),
            None => format!("{indent}# {}: {}\n", key.name(), key.example),
        });
    }
    out
}

/// What is in force, as YAML that can be read again; secrets are masked.
pub fn show(settings: &Settings) -> String {
    let mut out = String::new();
    for (section, _) in SECTIONS {
        let items = match section {
            "process_compose" => settings.process_compose.len(),
            "jetstream" => usize::from(settings.jetstream.is_some()),
            "otlp" => usize::from(settings.otlp.is_some()),
            "elasticsearch" => usize::from(settings.elasticsearch.is_some()),
            _ => 1,
        };
        match (items, section) {
            (0, "process_compose") => out.push_str("process_compose: []\n"),
            (0, _) => {}
            _ => out.push_str(&format!("{section}:\n")),
        }
        for item in 0..items {
            let values = keys_of(section).filter_map(|key| Some((key, value_of(key, settings, item)?)));
            for (i, (key, value)) in values.enumerate() {
                out.push_str(&format!("{}{}: {value}\n", indents(section, i).0, key.name()));
            }
        }
    }
    for key in keys_of("") {
        out.push_str(&format!("{}: {}\n", key.path, value_of(key, settings, 0).unwrap_or_default()));
    }
    out
}

fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section() == section)
}

/// What stands before a key, and before a comment, of the section's key with that index.
fn indents(section: &str, index: usize) -> (&'static str, &'static str) {
    match (section, index) {
        ("process_compose", 0) => ("  - ", "    "),
        ("process_compose", _) => ("    ", "    "),
        _ => ("  ", "  "),
    }
}

fn value_of(key: &Key, settings: &Settings, item: usize) -> Option<String> {
    match key.section() {
        "store" => store(&settings.store, key.name()),
        "process_compose" => supervisor(settings.process_compose.get(item)?, key.name()),
        "jetstream" => jetstream(settings.jetstream.as_ref()?, key.name()),
        "otlp" => otlp::write::otlp(settings.otlp.as_ref()?, key.name()),
        "elasticsearch" => otlp::write::elasticsearch(settings.elasticsearch.as_ref()?, key.name()),
        "telemetry" => Some(settings.telemetry.exporter.is_some().to_string()),
        "session" => session(&settings.session, key.name()),
        "api" => api(settings, key.name()),
        _ => Some(write_duration(settings.drain_deadline.0)),
    }
}

fn store(store: &Store, key: &str) -> Option<String> {
    match key {
        "dir" => Some(quoted(&store.dir.to_string_lossy())),
        "max_bytes" => store.max_bytes.map(write_size),
        "min_free" => Some(write_size(store.min_free)),
        "unsafe_fs" => Some(store.unsafe_fs.to_string()),
        "keep_streams" => Some(write_duration(store.keep_streams)),
        "keep_sessions" => Some(write_duration(store.keep_sessions)),
        "max_sessions" => Some(store.max_sessions.to_string()),
        "cache_bytes" => Some(write_size(store.cache_bytes)),
        _ => None,
    }
}

fn session(session: &Session, key: &str) -> Option<String> {
    match key {
        "idle" => Some(write_duration(session.idle)),
        "ingest_failed_after" => Some(write_duration(session.ingest_failed_after)),
        "max_rate" => Some(session.max_rate.to_string()),
        "spool" => Some(quoted(&session.spool.to_string_lossy())),
        _ => None,
    }
}

fn supervisor(supervisor: &ProcessCompose, key: &str) -> Option<String> {
    match (key, &supervisor.endpoint) {
        ("name", _) => Some(quoted(&supervisor.name)),
        ("url", Endpoint::Url(url)) => Some(quoted(&without_password(url))),
        ("socket", Endpoint::Socket(path)) => Some(quoted(&path.to_string_lossy())),
        ("token", _) => masked(supervisor.token.as_ref()),
        ("poll_interval", _) => Some(write_duration(supervisor.poll_interval)),
        ("timeout", _) => Some(write_duration(supervisor.timeout)),
        ("down_after", _) => Some(supervisor.down_after.to_string()),
        ("sample_interval", _) => Some(supervisor.sample_interval.map_or_else(|| "off".into(), write_duration)),
        ("subject_prefix", _) => Some(quoted(&supervisor.subject_prefix)),
        ("namespace", _) => supervisor.namespace.as_deref().map(quoted),
        _ => None,
    }
}

fn jetstream(sink: &JetStream, key: &str) -> Option<String> {
    match (key, &sink.nats.auth) {
        ("name", _) => Some(quoted(&sink.name)),
        ("url", _) => Some(quoted(&without_password(&sink.nats.url))),
        ("client_name", _) => Some(quoted(&sink.nats.name)),
        ("credentials_file", NatsAuth::Credentials(path)) => Some(quoted(&path.to_string_lossy())),
        ("nkey_file", NatsAuth::Nkey(path)) => Some(quoted(&path.to_string_lossy())),
        ("user", NatsAuth::User { user, .. }) => Some(quoted(user)),
        ("password", NatsAuth::User { password, .. }) => masked(Some(password)),
        ("token", NatsAuth::Token(token)) => masked(Some(token)),
        ("ca_file", _) => sink.nats.ca_file.as_ref().map(|path| quoted(&path.to_string_lossy())),
        ("tls", _) => Some(sink.nats.tls.to_string()),
        ("stream", _) => Some(quoted(&sink.stream)),
        ("subjects", _) => Some(list(&sink.subjects)),
        ("session_stream", _) => Some(quoted(sink.sessions.as_deref().unwrap_or("off"))),
        ("max_age", _) => Some(write_duration(sink.max_age)),
        ("duplicate_window", _) => Some(write_duration(sink.duplicate_window)),
        ("replicas", _) => Some(sink.replicas.to_string()),
        ("window", _) => Some(sink.window.to_string()),
        ("resources", _) => Some(sink.resources.to_string()),
        ("required", _) => Some(sink.required.to_string()),
        _ => None,
    }
}

fn api(settings: &Settings, key: &str) -> Option<String> {
    match key {
        "listen" => Some(quoted(&match &settings.api.listen {
            Listen::Tcp(address) => address.to_string(),
            Listen::Socket(path) => format!("unix:{}", path.display()),
            Listen::Off => "off".into(),
        })),
        "token" => masked(settings.api.token.as_ref()),
        "hosts" => Some(list(&settings.api.hosts)),
        _ => None,
    }
}

pub(super) fn masked(secret: Option<&Secret>) -> Option<String> {
    secret.map(|_| quoted("***"))
}

pub(super) fn list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| json(word)).collect::<Vec<_>>().join(", "))
}

/// A word as YAML reads it back: in quotes where it would not be itself without.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    let starts = word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let apart = !word.ends_with(':') && !["null", "true", "false"].contains(&word);
    if starts && apart && word.chars().all(plain) { word.into() } else { json(word) }
}

/// JSON's strings are YAML's.
fn json(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}

/// A URL, or several, with every `user:password@` and `token@` taken out.
pub fn without_password(urls: &str) -> String {
    let one = |url: &str| match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}***@{}", &url[..scheme + 3], &url[at + 1..]),
        (None, Some(at)) => format!("***@{}", &url[at + 1..]),
        _ => url.to_owned(),
    };
    urls.split(',').map(one).collect::<Vec<_>>().join(",")
}
