//! JSON lines into a session, over one request.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchpost::config;
use watchpost::store::{Disk, Store};

use super::{Server, answer, loopback};
use crate::it::support::wait::until;

const BODY: &str = concat!(
    "{\"type\":\"scan_started\",\"data\":{\"path\":\"é\"}}\n",
    "\n",
    "{\"type\":\"scan_progress\",\"data\":{\"node_count\":1}}\r\n",
    "{\"type\":\"Wrong\"}\n",
    "no json\n",
    "{\"type\":\"scan_progress\",\"id\":\"own\",\"data\":{\"node_count\":2}}\n",
    "{\"type\":\"scan_completed\"}",
);

/// What [`BODY`] is answered in a session that has `begun` events.
fn answers(begun: u64, duplicate: bool) -> Vec<Value> {
    let good = |line: u64, seq: u64| match duplicate {
        true => json!({ "line": line, "seq": seq, "duplicate": true }),
        false => json!({ "line": line, "seq": seq }),
    };
    let bad = |line: u64, field: &str| json!({ "line": line, "error": { "field": field, "status": 400 } });
    let (a, b) = (begun + 1, begun + 2);
    vec![good(1, a), good(3, b), bad(4, "type"), bad(5, "event"), good(6, begun + 3), good(7, begun + 4)]
}

/// Answers without their messages.
fn told(text: &str) -> Vec<Value> {
    let line = |line: &str| -> Value {
        let mut line: Value = serde_json::from_str(line).expect("a line of JSON");
        if let Some(error) = line.get_mut("error").and_then(Value::as_object_mut) {
            let message = error.remove("message");
            assert!(message.is_some_and(|message| message.as_str().is_some_and(|text| !text.is_empty())));
        }
        line
    };
    text.lines().map(line).collect()
}

async fn send(server: &Server, id: &str, key: Option<&str>, body: String) -> (u16, String) {
    let request = server.request(reqwest::Method::POST, &format!("/{id}/events"));
    let request = request.header("content-type", "application/x-ndjson").body(body);
    let request = if let Some(key) = key { request.header("idempotency-key", key) } else { request };
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a whole answer"))
}

/// A connection that a request of lines is sent over by hand.
struct Raw(TcpStream);

impl Raw {
    /// Sends the head of a request whose body comes in chunks.
    async fn open(server: &Server, id: &str, key: &str) -> Self {
        let address = server.url.strip_prefix("http://").expect("TCP");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a setting");
        let head = format!(
            "POST /api/sessions/{id}/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n\
             Idempotency-Key: {key}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        Self(stream)
    }

    async fn chunk(&mut self, bytes: &[u8]) {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.0.write_all(&chunk).await.expect("sent");
    }

    /// Ends the body and gives the body of the answer.
    async fn finish(mut self) -> String {
        self.0.write_all(b"0\r\n\r\n").await.expect("sent");
        let mut all = Vec::new();
        self.0.read_to_end(&mut all).await.expect("an answer");
        let all = String::from_utf8(all).expect("text");
        let (head, mut rest) = all.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut body = String::new();
        while let Some((size, tail)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).expect("a size");
            body.push_str(&tail[..size]);
            rest = &tail[size + 2..];
        }
        body
    }
}

#[tokio::test]
async fn a_bad_line_among_good_ones_loses_itself_alone() {
    let server = Server::local().await;
    server.begin("s").await;
    let (status, text) = send(&server, "s", Some("k"), BODY.into()).await;
    assert_eq!((status, told(&text)), (200, answers(1, false)));
    let kinds: Vec<String> = server.stored("s").await.into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["session_started", "scan_started", "scan_progress", "scan_progress", "scan_completed"]);
    // The whole of it again is answered as the first time.
    let (_, text) = send(&server, "s", Some("k"), BODY.into()).await;
    assert_eq!(told(&text), answers(1, true));
    assert_eq!(server.stored("s").await.len(), 5);
    server.stop().await;
}

#[tokio::test]
async fn any_split_of_a_body_over_tcp_gives_the_same_answers() {
    let server = Server::local().await;
    let mut random = StdRng::seed_from_u64(4);
    for round in 0..40 {
        let id = format!("s{round}");
        server.begin(&id).await;
        let mut raw = Raw::open(&server, &id, "k").await;
        let mut rest = BODY.as_bytes();
        while !rest.is_empty() {
            // The first rounds go by single bytes, and as a whole.
            let most = if round == 0 { 1 } else { rest.len() };
            let length = if round == 1 { rest.len() } else { random.random_range(1..=most.min(60)) };
            raw.chunk(&rest[..length]).await;
            rest = &rest[length..];
            if random.random_bool(0.2) {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(told(&raw.finish().await), answers(1, false), "round {round}");
    }
    server.stop().await;
}

#[tokio::test]
async fn each_line_is_answered_as_soon_as_it_is_stored() {
    let server = Server::local().await;
    server.begin("s").await;
    let mut raw = Raw::open(&server, "s", "k").await;
    let mut text = String::new();
    for n in 1..=20_u64 {
        raw.chunk(b"{\"type\":\"a\"}\n").await;
        let wanted = format!("{{\"line\":{n},\"seq\":{}}}\n", n + 1);
        while !text.contains(&wanted) {
            let mut bytes = [0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(30), raw.0.read(&mut bytes)).await;
            let length = read.expect("in time").expect("an answer");
            assert!(length > 0, "{text}");
            text.push_str(std::str::from_utf8(&bytes[..length]).expect("text"));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn of_a_body_that_stops_in_the_middle_what_was_whole_is_stored() {
    let server = Server::local().await;
    server.begin("s").await;
    for cut in [1, BODY.len() / 2, BODY.len() - 3] {
        let mut raw = Raw::open(&server, "s", "k").await;
        raw.chunk(&BODY.as_bytes()[..cut]).await;
        drop(raw);
    }
    let stored = async || (server.stored("s").await.len() == 4).then_some(());
    until("the whole lines", stored).await;
    // The same request again, whole: what was stored gets its first answer, and nothing is stored twice.
    let (_, text) = send(&server, "s", Some("k"), BODY.into()).await;
    let seqs: Vec<Value> = told(&text).iter().map(|line| line["seq"].clone()).collect();
    assert_eq!(seqs, [json!(2), json!(3), Value::Null, Value::Null, json!(4), json!(5)]);
    assert_eq!(server.stored("s").await.len(), 5);
    server.stop().await;
}

#[tokio::test]
async fn a_line_that_is_too_long_or_no_text_is_one_error() {
    let server = Server::local().await;
    server.begin("s").await;
    let mut body =
        format!("{{\"type\":\"a\"}}\n{{\"type\":\"a\",\"data\":{{\"x\":\"{}\"}}}}\n", "x".repeat(65_000));
    body.push_str(&format!("{{\"type\":\"{}\"}}\n", "x".repeat(200_000)));
    body.push_str(&format!("{{\"type\":\"a\",\"data\":{{\"x\":\"{}\"}}}}\n", "x".repeat(66_000)));
    body.push_str("{\"type\":\"a\"}\n");
    let (_, text) = send(&server, "s", None, body).await;
    let all = told(&text);
    let error = |field: &str| json!({ "field": field, "status": 413 });
    assert_eq!((&all[0]["seq"], &all[1]["seq"], &all[4]["seq"]), (&json!(2), &json!(3), &json!(4)), "{text}");
    assert_eq!((&all[2]["error"], &all[3]["error"]), (&error("line"), &error("data")), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_late_gets_every_answer() {
    const LINES: u64 = 20_000;
    let session = config::Session { max_rate: 1_000_000, ..config::Session::default() };
    let server = Server::over(Store::memory(), loopback(), session).await;
    server.begin("s").await;
    server.begin("other").await;
    let mut raw = Raw::open(&server, "s", "k").await;
    let lines = "{\"type\":\"scan_progress\"}\n".repeat(1000);
    for _ in 0..LINES / 1000 {
        raw.chunk(lines.as_bytes()).await;
    }
    // It has read nothing yet, and nobody else waits for it.
    assert_eq!(server.post("/other/events", r#"{"type":"a"}"#).await.0, 201);
    let text = raw.finish().await;
    assert_eq!(text.lines().count() as u64, LINES);
    for (n, line) in (1..).zip(text.lines()) {
        assert_eq!(line, format!("{{\"line\":{n},\"seq\":{}}}", n + 1));
    }
    server.stop().await;
}

#[tokio::test]
async fn lines_over_the_rate_wait_and_lose_nothing() {
    let session = config::Session { max_rate: 1000, ..config::Session::default() };
    let server = Server::over(Store::memory(), loopback(), session).await;
    server.begin("s").await;
    let began = std::time::Instant::now();
    let (_, text) = send(&server, "s", None, "{\"type\":\"a\"}\n".repeat(2500)).await;
    assert_eq!(text.lines().count(), 2500);
    assert!(began.elapsed() > Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!(server.stored("s").await.len(), 2501);
    server.stop().await;
}

#[tokio::test]
async fn lines_that_cannot_be_stored_now_cut_the_answer_off_and_go_through_later() {
    let disk = Disk::default();
    let server = Server::over(Store::on(&disk).expect("a store"), loopback(), config::Session::default()).await;
    server.begin("s").await;
    let mut raw = Raw::open(&server, "s", "k").await;
    raw.chunk(b"{\"type\":\"a\"}\n").await;
    until("the first line", async || (server.stored("s").await.len() == 2).then_some(())).await;
    disk.set_free(Some(0));
    raw.chunk(b"{\"type\":\"b\"}\n{\"type\":\"c\"}\n").await;
    let mut rest = String::new();
    raw.0.read_to_string(&mut rest).await.expect("text");
    assert!(
        rest.contains("{\"line\":1,\"seq\":2}") && rest.contains("\"line\":2") && rest.contains("503"),
        "{rest}"
    );
    assert!(!rest.contains("\"line\":3") && !rest.ends_with("0\r\n\r\n"), "no client takes it for whole: {rest}");
    // Where not even the first lines can be taken, it is the request that is refused.
    let lines = "{\"type\":\"a\"}\n{\"type\":\"b\"}\n{\"type\":\"c\"}\n";
    assert_eq!(send(&server, "s", Some("other"), lines.into()).await.0, 503);
    disk.set_free(None);
    let (_, text) = send(&server, "s", Some("k"), lines.into()).await;
    let seqs: Vec<Value> = told(&text).iter().map(|line| line["seq"].clone()).collect();
    assert_eq!(seqs, [json!(2), json!(3), json!(4)]);
    server.stop().await;
}

#[tokio::test]
async fn a_request_of_lines_that_begins_over_the_rate_is_told_when_to_come_again() {
    let session = config::Session { max_rate: 10, ..config::Session::default() };
    let server = Server::over(Store::memory(), loopback(), session).await;
    server.begin("s").await;
    assert_eq!(send(&server, "s", None, "{\"type\":\"a\"}\n".repeat(40)).await.0, 200);
    let request = server.request(reqwest::Method::POST, "/s/events").header("content-type", "application/x-ndjson");
    let refused = request.body("{\"type\":\"a\"}\n").send().await.expect("an answer");
    assert_eq!((refused.status().as_u16(), super::header(&refused, "retry-after")), (429, "3"));
    server.stop().await;
}

#[tokio::test]
async fn lines_for_a_session_that_is_not_there_or_has_ended() {
    let server = Server::local().await;
    assert_eq!(send(&server, "none", None, BODY.into()).await.0, 404);
    server.begin("s").await;
    let body =
        "{\"type\":\"a\"}\n{\"type\":\"session_ended\",\"data\":{\"status\":\"completed\"}}\n{\"type\":\"b\"}\n";
    let (status, text) = send(&server, "s", None, body.into()).await;
    let all = told(&text);
    assert_eq!((status, &all[1]["seq"], &all[2]["error"]["status"]), (200, &json!(3), &json!(409)), "{text}");
    assert_eq!((server.sessions.late(), server.stored("s").await.len()), (1, 3));
    let (_, empty) = send(&server, "s", None, String::new()).await;
    assert_eq!(empty, "");
    let other = server.request(reqwest::Method::POST, "/s/events").header("content-type", "application/jsonl");
    assert_eq!(answer(other.body("\n")).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_request_of_lines_does_not_hold_up_the_end() {
    let server = Server::local().await;
    server.begin("s").await;
    let mut raw = Raw::open(&server, "s", "k").await;
    raw.chunk(b"{\"type\":\"a\"}\n").await;
    until("the line", async || (server.stored("s").await.len() == 2).then_some(())).await;
    server.stop().await;
    let mut rest = Vec::new();
    // Cut off, not ended: the client must not take it for a whole answer.
    let _cut = raw.0.read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest));
}
