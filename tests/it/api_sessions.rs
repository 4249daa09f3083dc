//! Sessions over HTTP, as a program in any language sees them.

mod follow;
mod lines;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use watchpost::config::{self, Api, Secret};
use watchpost::event::{Data, MAX_EVENT_BYTES, StreamId};
use watchpost::session::{Start, follow::Follow};
use watchpost::store::{Disk, Store};

use super::support::server::{Server, loopback};

impl Server {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        reqwest::Client::new().request(method, format!("{}/api/sessions{path}", self.url))
    }

    /// What is answered to JSON that is sent to a path below `/api/sessions`.
    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        answer(self.request(Method::POST, path).header("content-type", "application/json").body(body.to_owned()))
            .await
    }

    /// The same with an `Idempotency-Key`.
    async fn post_with_key(&self, path: &str, body: &str, key: &str) -> (u16, Value) {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        answer(request.header("idempotency-key", key).body(body.to_owned())).await
    }

    async fn read(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    /// Begins a session under that id.
    async fn begin(&self, id: &str) {
        let start =
            Start { id: Some(StreamId::new(id).expect("an id")), ..Start::new(&json!({})).expect("an object") };
        self.sessions.begin(start).await.expect("begun");
    }

    /// The seqs, types and payloads of a session.
    async fn stored(&self, id: &str) -> Vec<(u64, String, String)> {
        let mut follow = Follow::new(self.log.store.clone(), StreamId::new(id).expect("an id"), 1);
        let mut all = Vec::new();
        while let Some(logged) = follow.try_next().expect("a store") {
            all.push((logged.event.seq, logged.event.kind.to_string(), logged.event.data.get().to_owned()));
        }
        all
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
}

#[tokio::test]
async fn a_session_is_begun_written_to_and_ended() {
    let server = Server::local().await;
    let request = server.request(Method::POST, "").header("content-type", "application/json");
    let begun = request.body(r#"{"metadata":{"command":"gen","name":"nightly"}}"#).send().await.expect("an answer");
    assert_eq!(begun.status(), 201);
    let place = header(&begun, "location").to_owned();
    let begun: Value = begun.json().await.expect("JSON");
    let id = begun["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        (&begun["seq"], &begun["duplicate"], place),
        (&json!(1), &json!(false), format!("/api/sessions/{id}"))
    );
    assert!(
        begun["traceparent"].as_str().is_some_and(|text| text.starts_with("00-") && text.len() == 55),
        "{begun}"
    );
    let (status, one) =
        server.post(&format!("/{id}/events"), r#"{"type":"scan_started","data":{"path":"a"}}"#).await;
    assert_eq!(
        (status, &one["seq"], &one["offset"], &one["duplicate"]),
        (201, &json!(2), &json!(1), &json!(false))
    );
    let events = r#"[{"type":"scan_progress"},{"type":"Bad"},{"type":"mine","data":{"b":1,"a":1.10}}]"#;
    let (status, several) = server.post(&format!("/{id}/events"), events).await;
    assert_eq!((status, &several[0]["seq"], &several[2]["seq"]), (200, &json!(3), &json!(4)), "{several}");
    assert_eq!((&several[1]["error"]["field"], &several[1]["error"]["status"]), (&json!("type"), &json!(400)));
    assert_eq!(server.post(&format!("/{id}/heartbeat"), "").await, (204, Value::Null));
    let end = r#"{"status":"failed","exit_code":3,"error":"no","counts":{"nodes":7}}"#;
    let (status, ended) = server.post(&format!("/{id}/end"), end).await;
    assert_eq!((status, &ended["seq"], &ended["duplicate"]), (200, &json!(5), &json!(false)));
    assert_eq!(server.post(&format!("/{id}/end"), end).await.1["duplicate"], true);
    let (_, shown) = server.read(&format!("/{id}")).await;
    assert_eq!(
        (&shown["session"]["status"], &shown["session"]["events"]),
        (&json!("failed"), &json!(5)),
        "{shown}"
    );
    assert_eq!(shown["session"]["metadata"], json!({ "command": "gen", "name": "nightly" }));
    assert_eq!((&shown["state"]["seq"], &shown["state"]["status"]), (&json!(5), &json!("failed")), "{shown}");
    assert!(shown["rates"]["elapsed_ms"].is_u64(), "{shown}");
    assert_eq!(server.read(&format!("/{id}?until_seq=2")).await.1["state"]["seq"], 2);
    let (_, events) = server.read(&format!("/{id}/events")).await;
    let types: Vec<&str> = events.as_array().expect("events").iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(types, ["session_started", "scan_started", "scan_progress", "mine", "session_ended"]);
    assert_eq!(
        (&events[3]["session"], &events[3]["seq"], &events[3]["offset"]),
        (&json!(id), &json!(4), &json!(3))
    );
    assert!(server.stored(&id).await[3].2 == r#"{"b":1,"a":1.10}"#, "byte for byte");
    server.stop().await;
}

#[tokio::test]
async fn the_same_request_to_begin_gets_the_same_session() {
    let server = Server::local().await;
    let own = r#"{"id":"run-7","ts":"2025-10-16T09:53:31Z","metadata":{"name":"a"}}"#;
    assert_eq!(server.post("", own).await.0, 201);
    assert_eq!(server.post("", own).await.0, 200);
    let (status, other) = server.post("", r#"{"id":"run-7","metadata":{"name":"b"}}"#).await;
    assert_eq!((status, &other["error"]["field"]), (409, &json!("metadata")), "{other}");
    let (status, first) = server.post_with_key("", r#"{"metadata":{"n":1}}"#, "k1").await;
    let (again, second) = server.post_with_key("", r#"{"metadata":{"n":1}}"#, "k1").await;
    assert_eq!((status, again, &first["id"]), (201, 200, &second["id"]));
    assert_eq!(server.post_with_key("", r#"{"metadata":{"n":2}}"#, "k1").await.0, 409);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = server.request(Method::POST, "").header("traceparent", parent);
    let (status, begun) = answer(request).await;
    assert_eq!(status, 201, "a body is not needed: {begun}");
    assert_eq!(begun["traceparent"].as_str().and_then(|text| text.split('-').nth(1)), parent.split('-').nth(1));
    server.stop().await;
}

#[tokio::test]
async fn the_same_event_is_stored_once_and_gets_the_first_answer() {
    let server = Server::local().await;
    server.begin("s").await;
    let event = r#"{"id":"e1","type":"scan_progress","data":{"node_count":1}}"#;
    let (status, first) = server.post("/s/events", event).await;
    let (again, second) = server.post("/s/events", event).await;
    assert_eq!((status, again, &first["seq"], &second["seq"]), (201, 200, &json!(2), &json!(2)));
    assert_eq!(
        (&second["duplicate"], &first["id"], &first["offset"]),
        (&json!(true), &second["id"], &second["offset"])
    );
    let other = r#"{"id":"e1","type":"scan_progress","data":{"node_count":2}}"#;
    let (status, conflict) = server.post("/s/events", other).await;
    assert_eq!((status, &conflict["error"]["field"]), (409, &json!("data")), "{conflict}");
    // With a key, event i of the request has the id `{key}/{i}`, unless it has one of its own.
    let events = r#"[{"type":"a"},{"type":"b","id":"own"},{"type":"c"}]"#;
    let (_, first) = server.post_with_key("/s/events", events, "k").await;
    let (_, second) = server.post_with_key("/s/events", events, "k").await;
    for n in 0..3 {
        assert_eq!((&first[n]["seq"], &second[n]["seq"]), (&json!(3 + n), &json!(3 + n)));
        assert_eq!((&first[n]["duplicate"], &second[n]["duplicate"]), (&json!(false), &json!(true)));
    }
    assert_eq!(server.post("/s/events", r#"{"type":"c","id":"k/3"}"#).await.1["seq"], 5);
    assert_eq!(server.post_with_key("/s/events", r#"{"type":"x"}"#, "k").await.0, 409, "the key stood for another");
    // After the end too.
    server.post("/s/end", r#"{"status":"completed"}"#).await;
    let (status, late) = server.post("/s/events", event).await;
    assert_eq!((status, &late["seq"], &late["duplicate"]), (200, &json!(2), &json!(true)));
    let (status, late) = server.post("/s/events", r#"{"type":"scan_progress"}"#).await;
    assert_eq!((status, &late["error"]["field"]), (409, &json!("session")), "{late}");
    assert_eq!(server.sessions.late(), 1);
    assert_eq!(server.stored("s").await.len(), 6);
    server.stop().await;
}

#[tokio::test]
async fn every_mistake_has_its_status_and_names_its_field() {
    let server = Server::local().await;
    server.begin("s").await;
    server.begin("done").await;
    server.post("/done/end", r#"{"status":"completed"}"#).await;
    let check = async |path: &str, body: &str, status: u16, field: &str| {
        let (got, told) = server.post(path, body).await;
        assert_eq!((got, told["error"]["field"].as_str()), (status, Some(field)), "{path} {body}: {told}");
    };
    check("", r#"{"id":"a.b"}"#, 400, "id").await;
    check("", r#"{"id":"proc-a"}"#, 400, "id").await;
    check("", r#"{"id":"latest"}"#, 400, "id").await;
    check("", r#"{"id":7}"#, 400, "id").await;
    check("", r#"{"ts":"now"}"#, 400, "ts").await;
    check("", r#"{"traceparent":"x"}"#, 400, "traceparent").await;
    check("", r#"{"metadata":[]}"#, 400, "metadata").await;
    check("", r#"{"nmae":"x"}"#, 400, "body").await;
    check("", "{", 400, "body").await;
    let long = "x".repeat(MAX_EVENT_BYTES);
    check("", &format!(r#"{{"metadata":{{"a":"{long}"}}}}"#), 413, "metadata").await;
    check("/s/events", "{}", 400, "type").await;
    check("/s/events", "7", 400, "event").await;
    check("/s/events", "[", 400, "body").await;
    check("/s/events", r#"{"type":"a","dta":{}}"#, 400, "event").await;
    check("/s/events", r#"{"type":"a","session":"t"}"#, 400, "session").await;
    for ours in ["session_started", "session_interrupted", "session_resumed", "ingest_failed"] {
        check("/s/events", &format!(r#"{{"type":"{ours}"}}"#), 400, "type").await;
    }
    check("/s/events", &format!(r#"{{"type":"a","data":{{"a":"{long}"}}}}"#), 413, "data").await;
    check("/s/events", &format!("[{}]", vec![r#"{"type":"a"}"#; 1025].join(",")), 413, "body").await;
    check("/s/events", &" ".repeat((1 << 20) + 1), 413, "body").await;
    check("/none/events", r#"{"type":"a"}"#, 404, "session").await;
    check("/none/heartbeat", "", 404, "session").await;
    check("/none/end", r#"{"status":"completed"}"#, 404, "session").await;
    check("/a.b/events", r#"{"type":"a"}"#, 400, "session").await;
    check("/done/events", r#"{"type":"a"}"#, 409, "session").await;
    check("/done/heartbeat", "", 409, "session").await;
    check("/done/end", r#"{"status":"failed"}"#, 409, "session").await;
    check("/s/end", r#"{"status":"fine"}"#, 400, "status").await;
    check("/s/end", "", 400, "body").await;
    check("/prune?dry_run=yes", "", 400, "dry_run").await;
    check("/prune?dry=true", "", 400, "query").await;
    let (status, told) = server.post_with_key("/s/events", r#"{"type":"a"}"#, &"k".repeat(101)).await;
    assert_eq!((status, &told["error"]["field"]), (400, &json!("Idempotency-Key")));
    assert_eq!(server.post("/s", "").await.0, 405);
    assert_eq!(answer(server.request(Method::DELETE, "/s")).await.0, 405);
    for (path, field) in [
        ("?status=done", "status"),
        ("?after=x", "after"),
        ("/s/events?from_seq=0", "from_seq"),
        ("/s/events?limit=1001", "limit"),
        ("/s?until_seq=x", "until_seq"),
        ("/s?until=1", "query"),
    ] {
        let (status, told) = server.read(path).await;
        assert_eq!((status, &told["error"]["field"]), (400, &json!(field)), "{path}: {told}");
    }
    assert_eq!(server.read("/none").await.0, 404);
    assert_eq!(server.stored("s").await.len(), 1, "nothing of it was stored");
    server.stop().await;
}

#[tokio::test]
async fn a_body_of_another_kind_is_told_what_is_read() {
    let server = Server::local().await;
    server.begin("s").await;
    let check = async |path: &str, name: &'static str, value: &str, field: &str| {
        let request = server.request(Method::POST, path).header(name, value).body(r#"{"type":"a"}"#);
        let (status, told) = answer(request).await;
        assert_eq!((status, &told["error"]["field"]), (415, &json!(field)), "{path} {value}: {told}");
    };
    check("/s/events", "content-type", "application/x-www-form-urlencoded", "Content-Type").await;
    check("/s/events", "content-type", "text/plain", "Content-Type").await;
    check("/s/events", "x-none", "", "Content-Type").await;
    check("/s/end", "content-type", "application/x-ndjson", "Content-Type").await;
    check("", "content-type", "text/plain", "Content-Type").await;
    check("/s/events", "content-encoding", "gzip", "Content-Encoding").await;
    let request =
        server.request(Method::POST, "/s/events").header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(answer(request.body(r#"{"type":"a"}"#)).await.0, 201);
    server.stop().await;
}

#[tokio::test]
async fn who_sends_too_fast_is_told_when_to_come_again() {
    let session = config::Session { max_rate: 10, ..config::Session::default() };
    let server = Server::over(Store::memory(), loopback(), session).await;
    server.begin("s").await;
    server.begin("other").await;
    let burst = format!("[{}]", [r#"{"type":"a"}"#; 40].join(","));
    assert_eq!(server.post("/s/events", &burst).await.0, 200);
    let request = server.request(Method::POST, "/s/events").header("content-type", "application/json");
    let refused = request.body(r#"{"type":"a"}"#).send().await.expect("an answer");
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "3"));
    assert_eq!(server.post("/other/events", r#"{"type":"a"}"#).await.0, 201);
    assert_eq!(server.stored("s").await.len(), 41);
    server.stop().await;
}

#[tokio::test]
async fn with_a_full_disk_everybody_is_told_to_try_later() {
    let disk = Disk::default();
    let server = Server::over(Store::on(&disk).expect("a store"), loopback(), config::Session::default()).await;
    server.begin("s").await;
    disk.set_free(Some(0));
    let one = r#"{"type":"a"}"#;
    for (path, body) in [
        ("", "{}".to_owned()),
        ("/s/events", one.to_owned()),
        ("/s/events", format!("[{one},{one}]")),
        ("/s/end", r#"{"status":"completed"}"#.to_owned()),
    ] {
        let request = server.request(Method::POST, path).header("content-type", "application/json");
        let refused = request.body(body).send().await.expect("an answer");
        assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (503, "1"), "{path}");
    }
    disk.set_free(None);
    assert_eq!(server.post("/s/events", one).await.1["seq"], 2);
    server.stop().await;
}

#[tokio::test]
async fn the_guard_holds_for_sessions_too() {
    let server = Server::start(Api { token: Some(Secret::new("right")), ..loopback() }).await;
    let ask = async |name: &'static str, value: &str| {
        let request = server.request(Method::POST, "").header(name, value);
        let request = if name == "authorization" { request } else { request.bearer_auth("right") };
        answer(request).await.0
    };
    assert_eq!(ask("authorization", "Bearer right").await, 201);
    assert_eq!(ask("authorization", "Bearer wrong").await, 401);
    assert_eq!(ask("host", "evil.example").await, 403);
    assert_eq!(ask("origin", "http://evil.example").await, 403);
    server.stop().await;
}

#[tokio::test]
async fn the_list_is_filtered_and_pages_are_linked() {
    let server = Server::local().await;
    for n in 0..5 {
        let body = format!(
            r#"{{"id":"s{n}","ts":"2025-10-16T09:53:3{n}Z","metadata":{{"command":"{}"}}}}"#,
            ["build", "Test"][n % 2]
        );
        server.post("", &body).await;
    }
    server.post("/s1/end", r#"{"status":"completed"}"#).await;
    let list = async |query: &str| -> Vec<String> {
        let (status, rows) = server.read(query).await;
        assert_eq!(status, 200, "{rows}");
        rows.as_array().expect("rows").iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(list("").await, ["s4", "s3", "s2", "s1", "s0"]);
    assert_eq!(list("?status=completed").await, ["s1"]);
    assert_eq!(list("?status=active&command=test").await, ["s3"]);
    assert_eq!(list("?since=2025-10-16T09:53:32Z&until=2025-10-16T09:53:34Z").await, ["s3", "s2"]);
    let (mut path, mut pages) = ("?limit=2&status=active".to_owned(), Vec::new());
    loop {
        let response = server.request(Method::GET, &path).send().await.expect("an answer");
        let link = header(&response, "link").to_owned();
        let rows: Vec<Value> = response.json().await.expect("rows");
        pages.push(rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>());
        let Some(next) = link.strip_prefix("</api/sessions").and_then(|l| l.strip_suffix(">; rel=\"next\"")) else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(pages, [vec!["s4", "s3"], vec!["s2", "s0"]]);
    server.stop().await;
}

#[tokio::test]
async fn the_events_of_a_session_come_by_pages() {
    let server = Server::local().await;
    server.begin("s").await;
    let events = format!("[{}]", [r#"{"type":"a"}"#; 6].join(","));
    server.post("/s/events", &events).await;
    let (mut path, mut seqs) = ("/s/events?limit=3".to_owned(), Vec::new());
    loop {
        let response = server.request(Method::GET, &path).send().await.expect("an answer");
        let link = header(&response, "link").to_owned();
        let rows: Vec<Value> = response.json().await.expect("rows");
        seqs.push(rows.iter().map(|row| row["seq"].as_u64().expect("a seq")).collect::<Vec<_>>());
        let Some(next) = link.strip_prefix("</api/sessions").and_then(|l| l.strip_suffix(">; rel=\"next\"")) else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(seqs, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    assert_eq!(server.read("/s/events?from_seq=99").await, (200, json!([])));
    server.stop().await;
}

#[tokio::test]
async fn the_beginning_of_an_id_stands_for_it_where_it_is_unique() {
    let server = Server::local().await;
    for id in ["build-1", "build-2", "build-22", "nightly"] {
        server.begin(id).await;
    }
    let shown = async |wanted: &str| -> String {
        let (status, shown) = server.read(&format!("/{wanted}")).await;
        assert_eq!(status, 200, "{shown}");
        shown["session"]["id"].as_str().expect("an id").to_owned()
    };
    assert_eq!(shown("n").await, "nightly");
    assert_eq!(shown("build-2").await, "build-2", "the whole id goes before the beginning of another");
    assert_eq!(shown("build-22").await, "build-22");
    server.post("", r#"{"id":"newest","ts":"2099-01-01T00:00:00Z"}"#).await;
    assert_eq!(shown("latest").await, "newest");
    assert_eq!(server.read("/nig/events").await.1[0]["session"], "nightly");
    let (status, told) = server.read("/build").await;
    assert_eq!((status, &told["error"]["field"]), (409, &json!("session")));
    let message = told["error"]["message"].as_str().expect("a message");
    assert!(message.contains("build-1, build-2, build-22"), "{message}");
    assert_eq!(server.post("/nig/events", r#"{"type":"a"}"#).await.0, 404, "who writes says which one");
    server.begin("prune").await;
    assert_eq!(shown("prune").await, "prune");
    server.stop().await;
}

#[tokio::test]
async fn pruning_tells_what_it_takes() {
    let server = Server::local().await;
    for (id, year) in [("old", 2020), ("running", 2020)] {
        server.post("", &format!(r#"{{"id":"{id}","ts":"{year}-01-01T00:00:00Z"}}"#)).await;
    }
    server.post("/old/end", r#"{"status":"completed","ts":"2020-01-02T00:00:00Z"}"#).await;
    server.log.store.maintainer().pass(true).expect("indexed");
    let ids = |told: &Value| -> Vec<String> {
        let sessions = told["sessions"].as_array().expect("sessions").iter();
        sessions.map(|session| session["id"].as_str().expect("an id").to_owned()).collect()
    };
    let (status, told) = server.post("/prune?dry_run=true", "").await;
    assert_eq!((status, ids(&told)), (200, vec!["old".to_owned()]));
    assert_eq!(server.read("/old").await.0, 200);
    let (status, told) = server.post("/prune", "").await;
    assert_eq!((status, ids(&told)), (200, vec!["old".to_owned()]));
    assert_eq!((server.read("/old").await.0, server.read("/running").await.0), (404, 200));
    assert_eq!(ids(&server.post("/prune?dry_run=true", "").await.1), Vec::<String>::new());
    server.stop().await;
}

/// Metadata with line breaks between its tokens, as a program that indents its JSON sends it, stays one line.
#[tokio::test]
async fn indented_json_becomes_one_line() {
    let server = Server::local().await;
    assert_eq!(server.post("", "{\"id\":\"s\",\n\"metadata\":{\n  \"a\": 1\r\n}}").await.0, 201);
    server.post("/s/events", "[\n{\"type\":\"a\",\n\"data\":{\n\"b\":2\n}}\n]").await;
    for (_, _, data) in server.stored("s").await {
        assert!(Data::parse(data.clone()).is_ok() && !data.contains(['\n', '\r']), "{data:?}");
    }
    server.stop().await;
}
