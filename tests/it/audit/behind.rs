//! While a sink is behind, or has dead letters.

use std::path::Path;

use async_nats::jetstream::stream::Config;
use watchpost::config;
use watchpost::event::{Data, Draft};
use watchpost::otel::document::data_stream;
use watchpost::store::Store;

use super::{Server, audit, backends, closed, configure, counts, deliver, draft, finding, own, stored, submit};
use crate::it::jetstream_sessions::of_session;
use crate::it::support::daemon::{store, watchpost};
use crate::it::support::history::Log;

/// How large an event is that neither backend takes.
const HUGE: usize = 40 * 1024;

/// Event number `n`, of a process and of a session.
fn both(n: u64, data: Option<&Data>) -> Vec<Draft> {
    let process = draft(n, "web", "started");
    let session = of_session("a", "node_skipped");
    let with = |draft: Draft| match data {
        Some(data) => Draft { data: data.clone(), ..draft },
        None => draft,
    };
    vec![with(process), with(session)]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_is_a_dead_letter_is_counted_and_is_no_finding() {
    let (nats, there) = (Server::start(), own("http.max_content_length: 32kb").await);
    let narrow = narrow(&nats).await;
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), &backends(&nats, &there));
    let log = || Log::on(Store::open(&store(dir.path())).expect("a store"));
    let elasticsearch = there.settings();

    let first = log();
    submit(&first, vec![of_session("a", "session_started")]).await;
    let huge = Data::parse(format!(r#"{{"process":"web","text":"{}"}}"#, "x".repeat(HUGE))).expect("an object");
    for n in 0..21 {
        submit(&first, both(n, (n == 10).then_some(&huge))).await;
    }
    deliver(&first.store, &nats.settings(), Some(&elasticsearch)).await;
    // What comes now is delivered later.
    submit(&first, (21..26).flat_map(|n| both(n, None)).collect()).await;
    let events = closed(first);
    let expected = Counts { alike: [20, 21, 41], dead_letters: [1, 1, 2], waiting: [5, 5, 10], missing: [0; 3] };
    check(dir.path(), Some(0), &expected);

    // What was confirmed is missed all the same.
    let lost = &events[1];
    let message = stored(&nats.jetstream().await, "PROCESS_EVENTS").await[0].clone();
    assert_eq!(message.id, Some(lost.event.id.to_string()));
    narrow[0].0.delete_message(message.sequence).await.expect("deleted");
    there.delete(&data_stream(&lost.event), &lost.event.id.to_string()).await;
    let expected = Counts { alike: [19, 21, 40], missing: [1, 0, 1], ..expected };
    let findings = check(dir.path(), Some(1), &expected);
    let id = lost.event.id.to_string();
    let missing = |backend: &str| finding(backend, "missing", &id);
    assert_eq!(findings, [missing("jetstream PROCESS_EVENTS"), missing("elasticsearch")]);

    // A letter that is sent again comes behind what was committed after it.
    for (_, config) in &narrow {
        let wide = Config { max_message_size: -1, ..config.clone() };
        nats.jetstream().await.update_stream(wide).await.expect("updated");
    }
    for sink in ["jetstream", "jetstream-sessions"] {
        let output = watchpost(dir.path(), &["dlq", "retry-all", "--sink", sink]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "1 will be sent again\n");
    }
    let second = log();
    deliver(&second.store, &nats.settings(), Some(&elasticsearch)).await;
    closed(second);
    let expected = Counts { alike: [25, 27, 50], dead_letters: [0, 0, 2], waiting: [0; 3], ..expected };
    check(dir.path(), Some(1), &expected);

    // A letter that was discarded is nowhere any more, and its event is still in the log.
    let letters = watchpost(dir.path(), &["dlq", "list", "--json"]);
    let letter: serde_json::Value =
        serde_json::from_slice(letters.stdout.split(|byte| *byte == b'\n').next().expect("a line")).expect("JSON");
    watchpost(dir.path(), &["dlq", "discard", letter["id"].as_str().expect("an id")]);
    check(dir.path(), Some(1), &Counts { dead_letters: [0, 0, 1], missing: [1, 0, 2], ..expected });
}

/// Streams that take no large message, with how they were made.
async fn narrow(nats: &Server) -> Vec<(async_nats::jetstream::stream::Stream, Config)> {
    let context = nats.jetstream().await;
    let mut made = Vec::new();
    for config::JetStream { stream, subjects, .. } in nats.settings().streams() {
        let config = Config { name: stream, subjects, max_message_size: 16 * 1024, ..Config::default() };
        made.push((context.create_stream(config.clone()).await.expect("made"), config));
    }
    made
}

/// What is counted of the stream of processes, that of sessions, and Elasticsearch.
struct Counts {
    alike: [u64; 3],
    dead_letters: [u64; 3],
    waiting: [u64; 3],
    missing: [u64; 3],
}

/// Audits; answers the findings.
fn check(dir: &Path, code: Option<i32>, expected: &Counts) -> Vec<super::Found> {
    let (exit, findings, summaries) = audit(dir, &[]);
    let Counts { alike, dead_letters, waiting, missing } = expected;
    for (name, expected) in
        [("alike", alike), ("dead_letters", dead_letters), ("waiting", waiting), ("missing", missing)]
    {
        assert_eq!(counts(&summaries, name), expected, "{name}: {summaries:?}");
    }
    assert_eq!(counts(&summaries, "extra"), [0; 3], "{findings:?}");
    assert_eq!(exit, code, "{findings:?}");
    findings
}
