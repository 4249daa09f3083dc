//! The HTTP API, as a client and as a stranger sees it.

use serde_json::Value;
use watchpost::api::Listener;
use watchpost::api::events::Row;
use watchpost::api::filter::{Begin, Filter};
use watchpost::client::{Client, Error, Followed};
use watchpost::config::{self, Api, Listen, Secret};
use watchpost::source::process_compose::Status;
use watchpost::store::Store;

use super::support::history::{Log, START};
use super::support::server::{self, Server};

impl Server {
    /// A server with `count` events, each third of which is `crashed`, of the processes a, b, a, b…
    async fn with_events(count: u64) -> Self {
        let server = Self::local().await;
        for n in 0..count {
            let kind = if n % 3 == 2 { "crashed" } else { "started" };
            server.log.event(n, ["a", "b"][n as usize % 2], kind).await;
        }
        server
    }

    /// The offsets of the events that a query gives.
    async fn offsets(&self, query: &str) -> Vec<u64> {
        let (status, body) = self.json(&format!("/api/events?{query}")).await;
        assert_eq!(status, 200, "{body}");
        let events = body.as_array().expect("an array");
        events.iter().map(|event| event["offset"].as_u64().expect("an offset")).collect()
    }
}

#[tokio::test]
async fn events_are_chosen_by_every_parameter() {
    let server = Server::with_events(9).await;
    assert_eq!(server.offsets("").await, (0..9).collect::<Vec<_>>());
    assert_eq!(server.offsets("type=crashed").await, [2, 5, 8]);
    assert_eq!(server.offsets("process=a").await, [0, 2, 4, 6, 8]);
    assert_eq!(server.offsets("process=default/b&type=crashed").await, [5]);
    assert_eq!(server.offsets("process=other/b").await, [0; 0]);
    assert_eq!(server.offsets("subject=core.process.*.b.%3E").await, [1, 3, 5, 7]);
    assert_eq!(server.offsets("session=proc-main-1&limit=2").await, [0, 1]);
    assert_eq!(server.offsets("session=proc-main-2").await, [0; 0]);
    assert_eq!(server.offsets("order=desc&limit=3").await, [8, 7, 6]);
    assert_eq!(server.offsets("order=desc&limit=3&after=6").await, [5, 4, 3]);
    let time = |n: i64| watchpost::event::Timestamp::from_millis(START + n * 1000);
    assert_eq!(server.offsets(&format!("since={}&until={}", time(3), time(5))).await, [3, 4]);
    server.stop().await;
}

#[tokio::test]
async fn pages_are_linked_to_the_end() {
    let server = Server::with_events(7).await;
    let mut path = "/api/events?type=started&limit=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let response = server.get(&path).await;
        let link = response.headers().get("link").map(|link| link.to_str().expect("text").to_owned());
        let events: Vec<Value> = response.json().await.expect("an array");
        pages.push(events.iter().map(|event| event["offset"].as_u64().expect("an offset")).collect::<Vec<_>>());
        let Some(link) = link else { break };
        path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect("a link").into();
    }
    assert_eq!(pages, [vec![0, 1], vec![3, 4], vec![6]]);
    server.stop().await;
}

#[tokio::test]
async fn an_event_has_the_keys_that_its_users_know() {
    let server = Server::with_events(1).await;
    let (_, mut event) = server.json("/api/events/00000000-0000-4000-8000-000000000000").await;
    event["observed"] = "(a time)".into();
    insta::assert_json_snapshot!(event);
    assert_eq!(server.json("/api/events/00000000-0000-4000-8000-000000000009").await.0, 404);
    assert_eq!(server.json("/api/events/nonsense").await.0, 400);
    server.stop().await;
}

#[tokio::test]
async fn every_error_is_json_that_names_the_field() {
    let server = Server::local().await;
    let check = async |path: &str, status: u16, field: Option<&str>| {
        let (got, body) = server.json(path).await;
        assert_eq!((got, body["error"]["field"].as_str()), (status, field), "{path}: {body}");
        assert!(!body["error"]["message"].as_str().expect(path).is_empty(), "{path}");
    };
    check("/api/events?limit=0", 400, Some("limit")).await;
    check("/api/events?since=now", 400, Some("since")).await;
    check("/api/events?sesion=x", 400, Some("query")).await;
    check("/api/events?from=now", 400, Some("from")).await;
    check("/api/events/sse?order=desc", 400, Some("query")).await;
    check("/api/events/sse?from=1", 400, Some("from")).await;
    check("/api/nothing", 404, None).await;
    check("/", 404, None).await;
    let post = reqwest::Client::new().post(format!("{}/api/events", server.url)).send().await.expect("an answer");
    assert_eq!(post.status(), 405);
    let id = reqwest::Client::new().get(format!("{}/api/events/sse", server.url)).header("last-event-id", "x");
    assert_eq!(id.send().await.expect("an answer").status(), 400);
    server.stop().await;
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let listen = Listen::Tcp(([127, 0, 0, 1], 0).into());
    let server = Server::start(Api { listen, token: Some(Secret::new("right")), ..Api::default() }).await;
    let ask = async |name: &'static str, value: &str| {
        let request = reqwest::Client::new().get(format!("{}/api/events", server.url)).header(name, value);
        let request = if name == "authorization" { request } else { request.bearer_auth("right") };
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(ask("authorization", "Bearer right").await, 200);
    assert_eq!(ask("authorization", "Bearer wrong").await, 401);
    assert_eq!(ask("host", "evil.example").await, 403);
    assert_eq!(ask("origin", "http://evil.example").await, 403);
    assert_eq!(server.get("/api/health").await.status(), 401);
    assert_eq!(server.get("/health").await.text().await.expect("text"), r#"{"status":"ok"}"#);
    let client = Client::new(&server.url, Some(Secret::new("right"))).expect("a client");
    assert_eq!(client.events(&Filter::default()).await.expect("a page").events, []);
    let error = server.client().events(&Filter::default()).await.expect_err("refused");
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_follower_sees_every_event_once_over_many_connections() {
    let server = Server::with_events(40).await;
    let path = format!("{}/api/events/sse?from=start", server.url);
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < 60 {
        let mut request = reqwest::Client::new().get(&path);
        if let Some(last) = seen.last() {
            request = request.header("last-event-id", last.to_string());
        }
        let mut response = request.send().await.expect("an answer");
        // A connection is cut wherever it happens to be, after at least one event.
        let (mut text, enough) = (String::new(), seen.len() + 7);
        while seen.len() < enough.min(60) {
            let chunk = response.chunk().await.expect("a chunk").expect("no end");
            text.push_str(std::str::from_utf8(&chunk).expect("text"));
            while let Some((block, rest)) = text.split_once("\n\n") {
                let id = block.lines().find_map(|line| line.strip_prefix("id: "));
                if block.contains("data:") {
                    seen.push(id.expect("an id").parse().expect("an offset"));
                }
                text = rest.to_owned();
            }
            if seen.len() >= 40 && server.log.store.range().end < 60 {
                server.log.event(server.log.store.range().end, "a", "started").await;
            }
        }
    }
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn the_client_pages_shows_and_follows() {
    let server = Server::with_events(5).await;
    let client = server.client();
    let page = client.events(&Filter { limit: Some(3), ..Filter::default() }).await.expect("a page");
    assert_eq!((page.events.len(), page.next), (3, Some(2)));
    let (first, second) = (&page.events[0].logged, &page.events[1]);
    let stored = server.log.store.event(second.logged.event.id).expect("read").map(Row::new);
    assert_eq!(stored.map(|row| row.json).as_ref(), Some(&second.json));
    let found = client.event(first.event.id).await.expect("found");
    assert_eq!(found.map(|row| row.logged), Some(first.clone()));
    let mut follow = client.follow(&Filter { from: Some(Begin::Offset(3)), ..Filter::default() });
    for offset in 3..7 {
        if offset > 4 {
            server.log.event(offset, "a", "started").await;
        }
        let Followed::Event(row) = follow.next().await.expect("an event") else { panic!("no event") };
        assert_eq!(row.logged.offset, offset);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_follower_from_now_is_told_where_that_is() {
    let server = Server::with_events(5).await;
    let mut response = server.get("/api/events/sse").await;
    let mut chunk = async || String::from_utf8(response.chunk().await.expect("a chunk").expect("no end").into());
    assert_eq!(chunk().await.as_deref(), Ok("id: 4\n\n"));
    server.log.event(5, "a", "started").await;
    assert!(chunk().await.expect("text").starts_with("id: 5\ndata: {\"offset\":5,"));
    server.stop().await;
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let server = Server::local().await;
    let client = server.client();
    server.stop().await;
    let error = client.events(&Filter::default()).await.expect_err("gone");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let error = client.follow(&Filter::default()).next().await.expect_err("gone");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_unix_socket_serves_too_and_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("w.sock");
    // One that was left behind by a crash is replaced, one that somebody listens at is not.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("it binds"));
    let server = Server::start(Api { listen: Listen::Socket(path.clone()), ..Api::default() }).await;
    server.log.event(0, "a", "started").await;
    assert_eq!(server.url, format!("unix:{}", path.display()));
    assert_eq!(server.client().events(&Filter::default()).await.expect("a page").events.len(), 1);
    let second = Listener::bind(&Listen::Socket(path.clone())).await;
    assert_eq!(second.expect_err("in use").kind(), std::io::ErrorKind::AddrInUse);
    server.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn health_says_what_is_down_and_why() {
    let server = Server::with_events(2).await;
    let (status, health) = server.json("/api/health").await;
    assert_eq!((status, &health["status"], &health["next_offset"]), (200, &"ok".into(), &2.into()), "{health}");
    server.source.send_replace(Status::Down("connection refused".into()));
    let (status, health) = server.json("/api/health").await;
    assert_eq!((status, &health["status"]), (200, &"degraded".into()));
    assert_eq!(health["reasons"], serde_json::json!(["source main: connection refused"]));
    assert_eq!(server.json("/health").await, (200, serde_json::json!({ "status": "degraded" })));
    server.stop().await;
}

#[tokio::test]
async fn processes_are_the_fold_of_the_log() {
    let server = Server::with_events(6).await;
    let names = |body: &Value| -> Vec<String> {
        let rows = body.as_array().expect("an array").iter();
        rows.map(|row| format!("{}/{} {}", row["source"], row["process"], row["crashes"]).replace('"', ""))
            .collect()
    };
    let (_, body) = server.json("/api/processes").await;
    assert_eq!(names(&body), ["main/a 1", "main/b 1"], "{body}");
    let first = server.get("/api/processes?limit=1").await;
    assert_eq!(first.headers()["link"], "</api/processes?limit=1&after=main%2Fa>; rel=\"next\"");
    let (_, body) = server.json("/api/processes?limit=1&after=main%2Fa").await;
    assert_eq!(names(&body), ["main/b 1"]);
    // What comes later is in the next answer.
    server.log.event(6, "c", "started").await;
    let (_, body) = server.json("/api/processes?after=main/b").await;
    assert_eq!((names(&body), &body[0]["up"]), (vec!["main/c 0".to_owned()], &true.into()));
    assert_eq!(server.json("/api/processes?limit=x").await.0, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_says_where_it_begins_and_where_it_goes_on() {
    let server = Server::with_events(3).await;
    let (status, body) = server.json("/api/streams/proc-main-1").await;
    let expected = serde_json::json!({"id": "proc-main-1", "first_seq": 1, "next_seq": 4, "status": "active"});
    assert_eq!((status, body), (200, expected));
    assert_eq!(server.json("/api/streams/proc-main-2").await.0, 404);
    assert_eq!(server.json("/api/streams/a.b").await.0, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_client_goes_on_where_it_was_when_the_daemon_is_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = Api { listen: Listen::Socket(dir.path().join("w.sock")), ..Api::default() };
    let log = Log::on(Store::memory());
    log.event(0, "a", "started").await;
    let client = Client::new(&format!("unix:{}", dir.path().join("w.sock").display()), None).expect("a client");
    let mut follow = client.follow(&Filter { from: Some(Begin::Start), ..Filter::default() });
    for life in 0..3 {
        let served = server::serve(&log, &settings, &config::Session::default()).await;
        // What was committed while nobody served comes too, and nothing comes twice.
        let mut seen = Vec::new();
        while seen.len() < 2 - usize::from(life == 0) {
            match follow.next().await.expect("it goes on") {
                Followed::Event(row) => seen.push(row.logged.offset),
                Followed::Lost(_) => {}
                gap => panic!("{gap:?}"),
            }
        }
        assert_eq!(seen, if life == 0 { vec![0] } else { vec![2 * life - 1, 2 * life] });
        served.shutdown.cancel();
        served.task.await.expect("no panic").expect("no error");
        for n in 1..=2 {
            log.event(2 * life + n, "a", "started").await;
        }
    }
    log.close();
}
