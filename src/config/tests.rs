//! The three layers, every mistake, and the example.

use super::*;

mod otlp;

const NONE: &[Flag] = &[];

fn read(text: &str, environment: &[(&str, &str)], flags: &[Flag]) -> Result<(Settings, Vec<String>), Mistakes> {
    let environment = environment.iter().map(|(name, word)| ((*name).into(), (*word).into())).collect();
    load(&Sources { base: Base::Empty, file: Some(("w.yaml", text)), environment: &environment, flags })
}

fn check_mistakes(text: &str, expected: &[&str]) {
    let told: Vec<String> = match read(text, &[], NONE) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.0.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(told, expected, "{text}");
}

fn flag(name: &'static str, path: &'static str, word: &str) -> Flag {
    Flag { name, path, word: word.into() }
}

#[test]
fn nothing_at_all_is_the_defaults() {
    assert_eq!(read("", &[], NONE), Ok((Settings::default(), Vec::new())));
    assert_eq!(
        read("# nothing\n", &[("WATCHPOST_STORE_DIR", "")], NONE).map(|read| read.0),
        Ok(Settings::default())
    );
}

#[test]
fn the_environment_is_over_the_file_and_options_are_over_both() {
    let text = "store: {min_free: 1MiB, dir: /a}\nprocess_compose:\n  - {name: one, url: 'http://a:1'}\n";
    let environment = [("WATCHPOST_STORE_DIR", "/b"), ("WATCHPOST_PROCESS_COMPOSE_SOCKET", "/s")];
    let flags =
        [flag("--store", "store.dir", "/c"), flag("--poll-interval", "process_compose[].poll_interval", "9s")];
    let (settings, _) = read(text, &environment, &flags).expect("no mistakes");
    assert_eq!((settings.store.dir.to_str(), settings.store.min_free), (Some("/c"), 1 << 20));
    let one = &settings.process_compose[0];
    assert_eq!((one.name.as_str(), &one.endpoint), ("one", &Endpoint::Socket("/s".into())));
    assert_eq!((one.poll_interval.as_secs(), one.timeout.as_millis()), (9, 1500));
}

#[test]
fn variables_of_others_stand_in_where_nothing_is_set() {
    let nats = [("NATS_URL", "nats://elsewhere")];
    let url = |text: &str, more: &[(&str, &str)]| {
        let (settings, _) = read(text, &[&nats, more].concat(), NONE).expect("no mistakes");
        settings.jetstream.map(|sink| sink.nats.url)
    };
    assert_eq!(url("", &[]), None);
    assert_eq!(url("jetstream:\n", &[]).as_deref(), Some("nats://elsewhere"));
    assert_eq!(url("jetstream: {url: nats://here}\n", &[]).as_deref(), Some("nats://here"));
    assert_eq!(url("", &[("WATCHPOST_JETSTREAM_URL", "nats://there")]).as_deref(), Some("nats://there"));
    let token = |text: &str| {
        let (settings, _) = read(text, &[("PC_API_TOKEN", "lent"), ("MINE", "mine")], NONE).expect("no mistakes");
        settings.process_compose[0].token.as_ref().map(|token| token.expose().to_owned())
    };
    assert_eq!(token("process_compose: [{}]").as_deref(), Some("lent"));
    assert_eq!(token("process_compose: [{token_env: MINE}]").as_deref(), Some("mine"));
}

#[test]
fn a_variable_that_sets_nothing_is_a_warning() {
    let (_, warnings) =
        read("", &[("WATCHPOST_STORE_DIRR", "/x"), ("WATCHPOST_URL", "u")], NONE).expect("no mistakes");
    let expected =
        "the environment variable WATCHPOST_STORE_DIRR sets nothing; did you mean `WATCHPOST_STORE_DIR`?";
    assert_eq!(warnings, [expected]);
}

#[test]
fn secrets_come_from_a_file_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    std::fs::write(&file, "  secret\n").expect("written");
    let text = format!("api: {{token_file: {}}}", file.display());
    let (settings, _) = read(&text, &[], NONE).expect("no mistakes");
    assert_eq!(settings.api.token.as_ref().map(Secret::expose), Some("secret"));
    assert!(!format!("{settings:?}{}", show(&settings)).contains("secret"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "\
stor:
  dir: /x
store:
  min_free: plenty
  keep_streems: 30d
process_compose:
  - name: one
    poll_interval: 1s
    timeout: 2s
  - name: one
    url: https://x
    socket: /y
  - name: Two
    token_file: /nowhere/token
    namespace: [a]
jetstream:
  user: me
  duplicate_window: 48h
  replicas: 7
api:
  listen: 0.0.0.0:9001
drain_deadline: soon
";
    let mistakes = read(text, &[], NONE).expect_err("mistakes");
    insta::assert_snapshot!(mistakes.to_string());
}

#[test]
fn two_supervisors_must_not_meet_under_one_subject() {
    let expected = "w.yaml:3: process_compose[1].subject_prefix: expected a subject_prefix of its own, or a namespace \
                    of its own for both, as `a` could produce the same subjects, found `core.process`";
    check_mistakes("process_compose:\n  - {name: a}\n  - {name: b}\n", &[expected]);
    check_mistakes("process_compose:\n  - {name: a}\n  - {name: b, namespace: x}\n", &[expected]);
    check_mistakes("process_compose:\n  - {name: a, namespace: y}\n  - {name: b, namespace: x}\n", &[]);
    check_mistakes("process_compose:\n  - {name: a}\n  - {name: b, subject_prefix: core.process.b}\n", &[]);
    for prefix in ["core", "core.source", "hub.x", "a..b", "a.*"] {
        let text = format!("process_compose: [{{subject_prefix: '{prefix}'}}]");
        assert!(read(&text, &[], NONE).is_err(), "{prefix}");
    }
}

#[test]
fn the_streams_subjects_take_every_prefix_in() {
    let text = "process_compose:\n  - {name: a}\n  - {name: b, subject_prefix: plant}\njetstream: {}\n";
    let (settings, _) = read(text, &[], NONE).expect("no mistakes");
    let subjects = settings.jetstream.expect("the section is there").subjects;
    assert_eq!(subjects, ["core.process.>", "core.source.>", "plant.>"]);
}

#[test]
fn a_variable_for_one_of_several_supervisors_is_a_mistake() {
    let text = "process_compose:\n  - {name: a}\n  - {name: b, subject_prefix: b}\n";
    let mistakes = read(text, &[("WATCHPOST_PROCESS_COMPOSE_URL", "http://x")], NONE).expect_err("a mistake");
    let expected = "$WATCHPOST_PROCESS_COMPOSE_URL: process_compose: expected one item in `process_compose`, as \
                    this names none of several";
    assert_eq!(mistakes.0.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn what_is_given_in_two_ways_is_a_mistake() {
    check_mistakes(
        "jetstream:\n  credentials_file: /a\n  nkey_file: /b\n",
        &["w.yaml:2: jetstream: expected only one of credentials_file, nkey_file, user with password, and token, \
           found `2 of them`"],
    );
    let half = |key: &str, other: &str| {
        let expected = format!("w.yaml:1: jetstream.{key}: expected a {other} beside it");
        check_mistakes(&format!("jetstream: {{{key}: /dev/null}}"), &[&expected]);
    };
    half("user", "password");
    half("password", "user");
    check_mistakes(
        "process_compose:\n  - url: http://a\n    socket: /b\n",
        &["w.yaml:3: process_compose[0].socket: expected only one of url, socket, found `socket beside url`"],
    );
}

#[test]
fn the_example_reads_as_the_defaults_of_an_adapter() {
    let (settings, warnings) = read(&example(), &[], NONE).expect("no mistakes");
    assert_eq!((settings, warnings), (Settings::adapter(), Vec::new()));
    insta::assert_snapshot!(example());
}

#[test]
fn every_key_of_the_schema_is_in_the_example_and_can_be_set() {
    let example = example();
    for key in &KEYS {
        let (plain, comment) = (format!("{}: ", key.name()), format!("# {}: ", key.name()));
        let section = example.split("\n\n").find(|part| {
            part.lines().any(|line| line.trim_start_matches("# ") == format!("{}:", key.section()))
                || key.section().is_empty() && part.contains(&plain)
        });
        let section = section.unwrap_or_else(|| panic!("{} has no section", key.path));
        let line = section.lines().map(|line| line.trim_start().trim_start_matches("- "));
        let optional = section.contains(&format!("\n# {}:", key.section()));
        let line = line.map(|line| if optional { line.trim_start_matches('#').trim_start() } else { line });
        let line = line.into_iter().find(|line| line.starts_with(&plain) || line.starts_with(&comment));
        let value = line.and_then(|line| line.split_once(": ")).map(|(_, value)| value).unwrap_or_default();
        assert!(!value.is_empty(), "{} is not in the example", key.path);
        let reading = read("", &[(&key.variable(), value.trim_matches(['[', ']']))], NONE);
        let unknown = reading.err().map(|mistakes| mistakes.to_string()).unwrap_or_default();
        assert!(!unknown.contains("one of the keys"), "{}: {unknown}", key.path);
    }
}

#[test]
fn what_is_shown_reads_as_what_it_shows() {
    let text = "\
store: {dir: '/a b', max_bytes: 1GiB}
process_compose:
  - {name: a, socket: /s, sample_interval: off, namespace: 'true'}
  - {name: b, subject_prefix: plant, down_after: 9}
jetstream: {user: u, password: '***', url: 'tls://a,tls://b', window: 7, resources: yes}
api: {listen: 'unix:/run/w.sock', hosts: [w.example, other], token: '***'}
drain_deadline: 3s
";
    let (settings, _) = read(text, &[], NONE).expect("no mistakes");
    assert_eq!(settings.jetstream.as_ref().map(|sink| sink.window), Some(7));
    let (again, _) = read(&show(&settings), &[], NONE).expect("no mistakes");
    assert_eq!(again, settings);
}

#[test]
fn a_password_in_a_url_is_masked() {
    assert_eq!(without_password("nats://u:p@a:1,tls://t@b"), "nats://***@a:1,tls://***@b");
    assert_eq!(without_password("nats://me:secret@a,tls://you:p@ss@b"), "nats://***@a,tls://***@b");
    assert_eq!(without_password("me:secret@a"), "***@a");
    assert_eq!(without_password("nats://a:1"), "nats://a:1");
    let (settings, _) = read("process_compose: [{url: 'http://u:p@a:1'}]", &[], NONE).expect("no mistakes");
    assert!(show(&settings).contains("url: \"http://***@a:1\""), "{}", show(&settings));
    for text in ["jetstream: {url: 'http://u:p@a:1'}", "process_compose: [{url: 'https://u:p@a:1'}]"] {
        let told = read(text, &[], NONE).expect_err("another scheme").to_string();
        assert!(told.contains("***@a:1") && !told.contains("u:p"), "{told}");
    }
}

#[test]
fn a_file_with_a_password_needs_a_user_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("password");
    std::fs::write(&file, "secret").expect("written");
    let text = format!("jetstream: {{password_file: {}}}", file.display());
    check_mistakes(&text, &["w.yaml:1: jetstream.password_file: expected a user beside it"]);
    let text = format!("jetstream: {{password_file: {}, user: me}}", file.display());
    check_mistakes(&text, &[]);
}
