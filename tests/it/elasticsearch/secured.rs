//! With TLS and with credentials. The server of the tests has no security of its own; a guard before it has.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost::config::{self, ElasticsearchAuth, Protocol, Secret};
use watchpost::elasticsearch::{Connection, Search};
use watchpost::event::Logged;
use watchpost::sink::{Cursor, Error, Sent};
use watchpost::store::{Store, Submission};

use super::{Elasticsearch, Server, Sink, all, ids, ids_in, of_day, prepared, resumed, stream};
use crate::it::support::certificates::certificates;
use crate::it::support::daemon::{beside, configure};
use crate::it::support::delivering::Delivering;
use crate::it::support::guard::Guard;
use crate::it::support::history::{Log, draft};
use crate::it::support::otlp::tls;
use crate::it::support::wait::until;

/// What `Authorization` has to be for `password` and for `KEY`.
const BASIC: &str = "Basic d8OkY2h0ZXI6cGFzczp3w7ZydA==";
const API_KEY: &str = "ApiKey aWQ6czNjcmV0";
const KEY: &str = "aWQ6czNjcmV0";
const PASSWORD: &str = "pass:wört";

fn password(password: &str) -> ElasticsearchAuth {
    ElasticsearchAuth::Basic { user: "wächter".into(), password: Secret::new(password) }
}

fn api_key(key: &str) -> ElasticsearchAuth {
    ElasticsearchAuth::ApiKey(Secret::new(key))
}

fn through(guard: &Guard, auth: ElasticsearchAuth) -> config::Elasticsearch {
    config::Elasticsearch { url: guard.url(), auth, ..config::Elasticsearch::default() }
}

/// What a sink says that has just been started: at its first call, and where that goes well at its first events.
async fn told(settings: config::Elasticsearch, batch: &[Logged]) -> Error {
    let mut sink = Elasticsearch::new(settings).expect("a sink");
    let resumed = sink.resume(&Cursor::default()).await;
    let Sent { settled, refused, error, .. } = sink.send(batch).await;
    assert_eq!((settled, refused), (0, Vec::new()), "nothing is lost, and nothing is a dead letter");
    let error = error.expect("it is refused");
    resumed.err().unwrap_or(error)
}

/// Asserts that a person is told which setting to look at.
fn misconfigured(error: &Error, words: &[&str]) {
    let Error::Misconfigured(said) = error else { panic!("{error:?}") };
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
}

/// A folder of certificates, and a guard that has one for 127.0.0.1.
async fn encrypted(server: &Server, at: Ipv4Addr) -> (TempDir, Guard) {
    let dir = tempfile::tempdir().expect("a folder");
    certificates(dir.path());
    let guard = Guard::over_tls(&server.url(), at, tls(dir.path(), Protocol::HttpProtobuf, false)).await;
    (dir, guard)
}

#[tokio::test]
async fn over_tls_with_a_certificate_authority_of_ones_own() {
    let server = prepared().await;
    let (dir, guard) = encrypted(server, Ipv4Addr::LOCALHOST).await;
    let trusting = |ca: Option<&str>| config::Elasticsearch {
        ca_file: ca.map(|name| dir.path().join(name)),
        ..through(&guard, api_key(KEY))
    };
    let batch = of_day(21, 0, 10);
    for ca in [None, Some("other.pem")] {
        misconfigured(&told(trusting(ca), &batch).await, &["certificate", "elasticsearch.ca_file"]);
    }
    assert_eq!(guard.came(), Vec::<Vec<String>>::new(), "nobody is shown the key who is not trusted");

    assert_eq!(resumed(trusting(Some("ca.pem"))).await.send(&batch).await, all(10));
    assert_eq!(ids_in(server, &stream(21)).await, ids(&batch));
}

#[tokio::test]
async fn a_certificate_of_another_host_and_a_server_without_tls_are_not_trusted() {
    let server = prepared().await;
    let (dir, guard) = encrypted(server, Ipv4Addr::new(127, 0, 0, 2)).await;
    let ca_file = Some(dir.path().join("ca.pem"));
    let another = config::Elasticsearch { ca_file, ..through(&guard, api_key(KEY)) };
    misconfigured(&told(another.clone(), &of_day(21, 0, 1)).await, &["certificate", "127.0.0.2"]);
    assert_eq!(guard.came().len(), 0);
    let url = server.url().replace("http://", "https://");
    let bare = config::Elasticsearch { url, ..another };
    misconfigured(&told(bare, &of_day(21, 0, 1)).await, &["elasticsearch.url"]);
}

#[test]
fn a_certificate_authority_or_a_key_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let none = dir.path().join("none.pem");
    std::fs::write(&none, "no certificate\n").expect("written");
    let with = |ca_file: PathBuf| config::Elasticsearch { ca_file: Some(ca_file), ..Default::default() };
    let no_header = config::Elasticsearch { auth: api_key("s3cret\n"), ..Default::default() };
    for (settings, words) in [
        (with("/nowhere/ca.pem".into()), ["elasticsearch.ca_file", "/nowhere/ca.pem"]),
        (with(none), ["elasticsearch.ca_file", "none.pem"]),
        (no_header, ["elasticsearch.api_key", "base64"]),
    ] {
        let said = Connection::new(&settings).expect_err("it cannot be used").to_string();
        assert!(words.iter().all(|word| said.contains(word)) && !said.contains("s3cret"), "{words:?}: {said}");
    }
}

#[tokio::test]
async fn who_is_not_known_is_told_the_setting_and_loses_nothing_until_it_is_right() {
    let server = prepared().await;
    let guard = Guard::start(&server.url()).await;
    guard.lets_in(API_KEY);
    let batch = of_day(22, 0, 3);
    for (auth, word) in [
        (password("wrong"), "elasticsearch.password"),
        (api_key("d3Jvbmc6a2V5"), "elasticsearch.api_key"),
        (ElasticsearchAuth::None, "set elasticsearch.api_key"),
    ] {
        misconfigured(&told(through(&guard, auth), &batch).await, &["401", "unable to authenticate", word]);
    }
    let url = guard.url().replace("http://", "http://us:s3cret@");
    let in_url = config::Elasticsearch { url, ..Default::default() };
    let error = told(in_url, &batch).await;
    misconfigured(&error, &["401", "elasticsearch.url"]);
    assert!(!error.to_string().contains("s3cret"), "{error}");

    // The whole way: it goes on trying, and all is there once the password is the right one.
    let log = Log::on(Store::memory());
    let drafts = (5000..5020).map(|n| draft(n, "web", "started")).collect();
    log.ingest.submit(Submission::events(drafts)).await.expect("room");
    let sink = Elasticsearch::new(through(&guard, password(PASSWORD))).expect("a sink");
    let running = Delivering::start("elasticsearch", sink, &log.store);
    let mut watch = running.handle.watch();
    let status = watch.wait_for(|status| status.failures > 3).await.expect("it runs").clone();
    assert_eq!((status.offset, status.dead_lettered), (0, 0));
    let said = status.last_error.expect("an error").message;
    assert!(said.contains("401") && said.contains("elasticsearch.password"), "{said}");
    guard.lets_in(BASIC);
    running.drained().await;
    assert_eq!(running.handle.status().expect("readable").dead_lettered, 0);
    running.stop().await;
    let expected: Vec<String> = (5000..5020).map(|n| format!("00000000-0000-4000-8000-{n:012}")).collect();
    // Committed today, beside what other tests commit.
    let mut there = ids_in(server, "logs-watchpost.otel-*").await;
    there.retain(|id| expected.contains(id));
    assert_eq!(there, expected, "each once");
}

/// A refusal of a whole request, as Elasticsearch words it.
fn refusal(status: u16, kind: &str, reason: &str) -> (&'static str, u16, Value) {
    let error = json!({"type": kind, "reason": reason});
    ("/_bulk", status, json!({"error": {"root_cause": [error], "type": kind, "reason": reason}, "status": status}))
}

/// The same of each document.
fn item_refusal(status: u16, kind: &str, reason: &str) -> (&'static str, u16, Value) {
    let item = json!({"create": {"status": status, "error": {"type": kind, "reason": reason}}});
    ("/_bulk", 200, json!({"items": [item, item]}))
}

#[tokio::test]
async fn a_missing_privilege_is_told_and_a_block_is_waited_for() {
    let server = prepared().await;
    let guard = Guard::start(&server.url()).await;
    let batch = of_day(23, 0, 2);
    let lacks = "action [indices:data/write/bulk[s]] is unauthorized for API key id [id] of user [u]";
    let blocked = "blocked by: [FORBIDDEN/6/cluster read-only (api)];";
    for refusal in [refusal, item_refusal] {
        guard.refuses(Some(refusal(403, "security_exception", lacks)));
        for (auth, word) in [(api_key(KEY), "elasticsearch.api_key"), (password(PASSWORD), "elasticsearch.user")] {
            misconfigured(&told(through(&guard, auth), &batch).await, &["403", "indices:data/write/bulk", word]);
        }
        guard.refuses(Some(refusal(403, "cluster_block_exception", blocked)));
        let error = told(through(&guard, api_key(KEY)), &batch).await;
        assert!(matches!(&error, Error::Retryable(said) if said.contains("read-only")), "{error:?}");
    }
    // The pattern, as there is no such stream yet.
    assert_eq!(ids_in(server, &format!("{}*", stream(23))).await, Vec::<String>::new());

    // A key that may only write may not ask how the server is.
    let (_, status, answer) = refusal(403, "security_exception", "action [cluster:monitor/health] is unauthorized");
    guard.refuses(Some(("/_cluster", status, answer)));
    assert_eq!(resumed(through(&guard, api_key(KEY))).await.send(&batch).await, all(2));
    assert_eq!(ids_in(server, &stream(23)).await, ids(&batch));
}

#[tokio::test]
async fn a_search_waits_for_an_index_that_is_just_being_made() {
    let server = prepared().await;
    let guard = Guard::start(&server.url()).await;
    let (_, status, answer) =
        refusal(503, "search_phase_execution_exception", "Search rejected due to missing shards");
    guard.refuses(Some(("/_search", status, answer)));
    let connection = Connection::new(&through(&guard, ElasticsearchAuth::None)).expect("settings");
    let search =
        Search { text: "*", fields: &[], since: None, until: None, newest_first: true, after: None, most: 1 };
    let made = async {
        until("it to ask again", async || (guard.came().len() >= 2).then_some(())).await;
        guard.refuses(None);
    };
    let (found, ()) = tokio::join!(search.run(&connection), made);
    found.expect("it answers at last");
}

#[tokio::test]
async fn credentials_are_sent_as_they_are_set_and_shown_nowhere() {
    let server = prepared().await;
    let guard = Guard::start(&server.url()).await;
    for (from, auth, right) in [(0, password(PASSWORD), BASIC), (2, api_key(KEY), API_KEY)] {
        guard.lets_in(right);
        let before = guard.came().len();
        let mut sink = resumed(through(&guard, auth)).await;
        assert_eq!(sink.send(&of_day(24, from, 2)).await, all(2));
        let came = guard.came().split_off(before);
        assert!(came.len() >= 2 && came.iter().all(|came| came == &[right]), "{came:?}");
        shows_no_secret(&format!("{sink:?} {sink:#?}"));
    }
}

fn shows_no_secret(text: &str) {
    let secrets = [PASSWORD, KEY, BASIC.trim_start_matches("Basic "), "id:s3cret"];
    assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_logs_no_credentials_however_much_it_logs() {
    let server = prepared().await;
    let (dir, guard) = encrypted(server, Ipv4Addr::LOCALHOST).await;
    let ca = dir.path().join("ca.pem");
    let secret = dir.path().join("secret");
    let run = |credentials: &str, right: &str| {
        guard.lets_in(right);
        let section = format!("url: '{}', ca_file: '{}', {credentials}", guard.url(), ca.display());
        configure(dir.path(), &format!("elasticsearch: {{{section}}}"));
        let command = || {
            let mut command = beside(dir.path(), &["elasticsearch", "setup"]);
            command.env("WATCHPOST_LOG", "trace").output().expect("it runs")
        };
        let Output { status, stdout, stderr } = tokio::task::block_in_place(command);
        let said = [stdout, stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8")).concat();
        shows_no_secret(&said);
        (status.code(), said)
    };
    for (setting, content, credentials, right) in [
        ("elasticsearch.password", PASSWORD, "user: wächter, password_file", BASIC),
        ("elasticsearch.api_key", KEY, "api_key_file", API_KEY),
    ] {
        std::fs::write(&secret, content).expect("written");
        let credentials = format!("{credentials}: '{}'", secret.display());
        let (code, said) = run(&credentials, right);
        assert!(code == Some(0) && said.contains("TRACE"), "{said}");
        let (code, said) = run(&credentials, "Basic of-another");
        assert!(code == Some(2) && said.contains("401") && said.contains(setting), "{said}");
    }
}
