//! The same queries in Elasticsearch and over the log: the same events come out.

use std::sync::Arc;

use watchpost::client::Reader;
use watchpost::elasticsearch::Connection;
use watchpost::event::{Event, Timestamp};
use watchpost::search::{Error, Query, Search};
use watchpost::sink::Sink;
use watchpost::store::{Limit, Store, Submission};

use super::elasticsearch::{all, prepared, resumed};
use super::support::daemon::{configure, store, watchpost};
use super::support::history::{Log, draft, six_events};

/// The time of the first event: a day that no other test has.
const DAY: &str = "2025-11-01T10:00:00.000Z";

/// Six events, a second between them; and a reader of the log that they are in.
async fn events() -> (Reader, Vec<Event>) {
    let log = Log::on(Store::memory());
    let names = [("api", "started"), ("web", "started"), ("api", "healthy"), ("web", "crashed")];
    let first: Timestamp = DAY.parse().expect("a time");
    let drafts = names.into_iter().chain([("web", "restarted"), ("Web", "started")]).enumerate();
    for (n, (name, kind)) in drafts {
        let mut draft = draft(n as u64 + 9000, name, kind);
        draft.ts = Some(first.plus_millis(n as i64 * 1000));
        log.ingest.submit(Submission::events(vec![draft])).await.expect("room");
    }
    let store = log.store.clone();
    let logged = store.log(0, Limit::events(100)).expect("a log");
    let server = prepared().await;
    assert_eq!(resumed(server.settings()).await.send(&logged).await, all(6));
    server.documents("logs-watchpost.otel-*").await;
    log.close();
    (
        Reader::Store { store, prefixes: vec!["core.process".into()] },
        logged.into_iter().map(|l| Arc::unwrap_or_clone(l.event)).collect(),
    )
}

fn query(text: &str) -> Query {
    let since: Timestamp = DAY.parse().expect("a time");
    Query { text: text.into(), since: Some(since), until: Some(since.plus_millis(60_000)), ..Query::default() }
}

/// All ids that a search finds, page by page.
async fn ids(mut search: Search<'_>, page: usize) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let hits = search.page(page).await.expect("an answer");
        if hits.is_empty() {
            return ids;
        }
        ids.extend(hits.into_iter().map(|hit| hit.id));
    }
}

#[tokio::test]
async fn both_ways_find_the_same_events() {
    let (reader, events) = events().await;
    let connection = Connection::new(&prepared().await.settings()).expect("settings");
    let queries: [(&str, &[usize]); 27] = [
        ("*", &[0, 1, 2, 3, 4, 5]),
        ("event_name:process.crashed", &[3]),
        ("event_name:process.*", &[0, 1, 2, 3, 4, 5]),
        ("watchpost.process.name:web", &[1, 3, 4]),
        ("attributes.watchpost.process.name:web", &[1, 3, 4]),
        ("watchpost.process.name:w?b", &[1, 3, 4]),
        ("watchpost.process.name:\"web\"", &[1, 3, 4]),
        ("watchpost.process.name:(web OR api)", &[0, 1, 2, 3, 4]),
        ("watchpost.process.name:web AND NOT event_name:process.started", &[3, 4]),
        ("+watchpost.process.name:web -event_name:process.crashed", &[1, 4]),
        ("(watchpost.process.name:api AND event_name:process.healthy) OR event_name:process.crashed", &[2, 3]),
        ("watchpost.process.name:api event_name:process.crashed", &[0, 2, 3]),
        ("NOT watchpost.process.name:web", &[0, 2, 5]),
        ("severity_text:error", &[3]),
        ("severity_number:>=17", &[3]),
        ("watchpost.event.seq:[2 TO 4]", &[1, 2, 3]),
        ("watchpost.event.seq:[2 TO 4}", &[1, 2]),
        ("watchpost.event.seq:{2 TO *]", &[2, 3, 4, 5]),
        ("watchpost.event.seq:3", &[2]),
        ("@timestamp:[2025-11-01T10:00:02Z TO 2025-11-01T10:00:04Z}", &[2, 3]),
        ("@timestamp:[2025-11-01 TO 2025-11-01]", &[0, 1, 2, 3, 4, 5]),
        ("@timestamp:{2025-11-01 TO *]", &[]),
        ("body.text:\"default/web crashed\"", &[3]),
        ("body.text:CRASHED", &[3]),
        ("crashed", &[3]),
        ("process.exit.code:*", &[3]),
        ("watchpost.event.type:nothing", &[]),
    ];
    for (text, expected) in queries {
        let expected: Vec<String> = expected.iter().map(|&at| events[at].id.to_string()).collect();
        let over_log = ids(Search::over_log(&reader, query(text)).expect(text), 2).await;
        assert_eq!(over_log, expected, "over the log: {text}");
        let there = ids(Search::in_elasticsearch(connection.clone(), query(text)), 2).await;
        assert_eq!(there, expected, "in Elasticsearch: {text}");
    }
    let newest_first = Query { newest_first: true, ..query("*") };
    let expected: Vec<String> = events.iter().rev().map(|event| event.id.to_string()).collect();
    let over_log = Search::over_log(&reader, newest_first.clone()).expect("a query");
    assert_eq!(ids(over_log, 4).await, expected);
    assert_eq!(ids(Search::in_elasticsearch(connection, newest_first), 4).await, expected);
}

#[tokio::test]
async fn both_ways_tell_what_is_wrong_with_a_query() {
    let (reader, _) = events().await;
    let connection = Connection::new(&prepared().await.settings()).expect("settings");
    // Where no document is of that time, Elasticsearch does not look at the query.
    let mut search = Search::in_elasticsearch(connection.clone(), query("event_name:(a OR"));
    let error = search.page(1).await.expect_err("no query").to_string();
    assert!(error.contains("event_name:(a OR") && error.contains("Encountered"), "{error}");

    for place in ["7", "yesterday/1", "2025-11-01T10:00:00Z"] {
        let mut search =
            Search::in_elasticsearch(connection.clone(), Query { after: Some(place.into()), ..query("*") });
        let error = search.page(1).await.expect_err("no place").to_string();
        assert!(error.contains(&format!("after: expected a place that a hit told, found `{place}`")), "{error}");
    }
    let mut search = Search::over_log(&reader, Query { after: Some("a/b".into()), ..query("*") }).expect("a query");
    let error = search.page(1).await.expect_err("no place").to_string();
    assert!(error.contains("after") && error.contains("a/b"), "{error}");

    for (text, named) in [
        ("event_name:(a OR", ""),
        ("nothing.like.this:1", "nothing.like.this"),
        ("trace_id:abc", "trace_id"),
        ("resource.attributes.service.name:web", "resource.attributes.service.name"),
        ("event_name:/cra.*/", "regular expression"),
        ("event_name:crashd~1", "crashd~1"),
        ("event_name:a^2", "^"),
        ("severity_number:high", "high"),
        ("event_name:[a TO b]", "a range of a number or a time"),
        ("@timestamp:[yesterday TO *]", "yesterday"),
    ] {
        let Err(Error::Query(error)) = Search::over_log(&reader, query(text)) else {
            panic!("{text} is understood")
        };
        assert!(error.to_string().contains(named), "{text}: {error}");
    }
    let deep = |depth| format!("{}event_name:a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Search::over_log(&reader, query(&deep(8))).is_ok());
    assert!(matches!(Search::over_log(&reader, query(&deep(9))), Err(Error::Query(_))));
}

#[tokio::test]
async fn the_command_searches_the_store_where_there_is_no_elasticsearch() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), "");
    six_events(&store(dir.path())).await;
    let run = |args: &[&str]| {
        let output = watchpost(dir.path(), &[&["search"], args].concat());
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"), error)
    };
    let (code, said, error) = run(&["watchpost.process.name:web", "--limit", "2"]);
    assert_eq!((code, said.lines().count()), (Some(0), 2), "{error}");
    assert!(said.starts_with("2025-10-16 09:53:32.000 ▶ "), "{said}");
    let (_, hits, _) = run(&["severity_text:error", "--json"]);
    let hit: serde_json::Value = serde_json::from_str(&hits).expect("one line");
    assert_eq!(hit["document"]["event_name"], "process.crashed");
    let (_, rest, _) = run(&["*", "--after", hit["after"].as_str().expect("a place")]);
    assert_eq!(rest.lines().count(), 2);
    let (code, _, error) = run(&["colour:red"]);
    assert!(code == Some(2) && error.contains("colour"), "{error}");
}
