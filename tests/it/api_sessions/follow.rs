//! Following sessions over HTTP.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::Server;
use crate::it::support::wait::until;

/// A stream of server-sent events that is read message by message.
struct Messages {
    response: reqwest::Response,
    text: String,
    ready: VecDeque<(String, Value)>,
}

impl Messages {
    /// Follows a path below `/api/sessions`, from behind the message with that id.
    async fn open(server: &Server, path: &str, last: Option<u64>) -> Self {
        let mut request = server.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), super::header(&response, "content-type")),
            (200, "text/event-stream")
        );
        Self { response, text: String::new(), ready: VecDeque::new() }
    }

    /// The next message with data, and its id; `None` when the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        tokio::time::timeout(Duration::from_secs(30), self.read()).await.expect("in time")
    }

    async fn read(&mut self) -> Option<(String, Value)> {
        while self.ready.is_empty() {
            let chunk = self.response.chunk().await.expect("a chunk")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let of = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                if let Some(data) = of("data: ") {
                    let data = serde_json::from_str(data).expect("JSON");
                    self.ready.push_back((of("id: ").unwrap_or_default().to_owned(), data));
                }
                self.text = rest.to_owned();
            }
        }
        self.ready.pop_front()
    }

    /// The seqs up to the end of the session.
    async fn seqs(mut self) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some((id, data)) = self.next().await {
            assert_eq!(id, data["seq"].to_string());
            seqs.push(data["seq"].as_u64().expect("a seq"));
        }
        seqs
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_over_http_see_every_event_once_over_the_seam() {
    const EVENTS: u64 = 60;
    let server = Server::local().await;
    server.begin("s").await;
    let mut followers = Vec::new();
    for seq in 2..=EVENTS {
        if seq % 6 == 0 {
            for from in [1, seq / 2, seq] {
                let from = from.min(server.stored("s").await.len() as u64 + 1);
                let messages = Messages::open(&server, &format!("/s/events?from_seq={from}"), None).await;
                followers.push((from, tokio::spawn(messages.seqs())));
            }
        }
        let (path, body) = match seq {
            EVENTS => ("/s/end", r#"{"status":"completed"}"#),
            _ => ("/s/events", r#"{"type":"scan_progress"}"#),
        };
        assert_eq!(server.post(path, body).await.1["seq"], seq);
    }
    for (from, follower) in followers {
        assert_eq!(follower.await.expect("no panic"), (from..=EVENTS).collect::<Vec<_>>(), "from {from}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_follower_that_was_cut_off_goes_on_behind_what_it_has_seen() {
    let server = Server::local().await;
    server.begin("s").await;
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < 30 {
        server.post("/s/events", &format!("[{}]", [r#"{"type":"a"}"#; 4].join(","))).await;
        let mut messages = Messages::open(&server, "/s/events", seen.last().copied()).await;
        for _ in 0..3 {
            seen.push(messages.next().await.expect("an event").0.parse().expect("a seq"));
        }
    }
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
    let mut now = Messages::open(&server, "/s/events?from_seq=now", None).await;
    server.post("/s/end", r#"{"status":"completed"}"#).await;
    assert_eq!(now.next().await.expect("the end").1["type"], "session_ended");
    assert_eq!(now.next().await, None, "the stream ends with the session");
    let end = server.stored("s").await.len() as u64;
    for (path, last, status) in [
        ("/s/events", end, 204),
        ("/s", end, 204),
        ("/s/events", end + 1, 400),
        ("/s?until_seq=1", 1, 400),
        ("", 1_000_000, 400),
    ] {
        let request = server.request(Method::GET, path).header("accept", "text/event-stream");
        let answer = request.header("last-event-id", last.to_string()).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path} behind {last}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_follower_that_does_not_read_delays_nobody() {
    let server = Server::local().await;
    server.begin("s").await;
    let mut slow = Messages::open(&server, "/s/events", None).await;
    let quick = Messages::open(&server, "/s/events", None).await;
    let quick = tokio::spawn(quick.seqs());
    // More than what the connection of the slow one holds.
    let event = format!(r#"{{"type":"a","data":{{"x":"{}"}}}}"#, "x".repeat(40_000));
    let events = format!("[{}]", vec![event.as_str(); 20].join(","));
    for _ in 0..20 {
        assert_eq!(server.post("/s/events", &events).await.0, 200);
    }
    server.post("/s/end", r#"{"status":"completed"}"#).await;
    assert_eq!(quick.await.expect("no panic").len(), 402);
    let mut seqs = 0;
    while slow.next().await.is_some() {
        seqs += 1;
    }
    assert_eq!(seqs, 402);
    server.stop().await;
}

#[tokio::test]
async fn the_state_of_a_session_is_told_as_it_changes_and_not_too_often() {
    const EVENTS: usize = 300;
    let server = Server::local().await;
    server.begin("s").await;
    let mut states = Messages::open(&server, "/s", None).await;
    let (id, first) = states.next().await.expect("the state as it is");
    assert_eq!((id.as_str(), &first["session"]["id"], &first["state"]["seq"]), ("1", &json!("s"), &json!(1)));
    let began = Instant::now();
    let told = tokio::spawn(async move {
        let mut told = Vec::new();
        while let Some((id, state)) = states.next().await {
            assert_eq!(id, state["state"]["seq"].to_string());
            told.push(state);
        }
        told
    });
    for n in 0..EVENTS {
        let event = format!(r#"{{"type":"node_generation_started","data":{{"node_id":"n{n}","level_index":0}}}}"#);
        assert_eq!(server.post("/s/events", &event).await.0, 201);
    }
    server.post("/s/end", r#"{"status":"completed"}"#).await;
    let told = told.await.expect("no panic");
    let most = began.elapsed().as_millis() as usize / 100 + 2;
    assert!(told.len() <= most, "{} states in {:?}", told.len(), began.elapsed());
    let last = told.last().expect("a state");
    assert_eq!(last["state"], server.read("/s").await.1["state"]);
    assert_eq!((&last["session"]["status"], &last["state"]["seq"]), (&json!("completed"), &json!(EVENTS + 2)));
    server.stop().await;
}

#[tokio::test]
async fn the_list_is_told_as_it_is_and_as_it_changes() {
    let server = Server::local().await;
    server.begin("a").await;
    server.begin("b").await;
    let mut list = Messages::open(&server, "?status=active", None).await;
    let next = async |list: &mut Messages| {
        let (id, session) = list.next().await.expect("a session");
        (id, session["id"].as_str().expect("an id").to_owned(), session["status"].as_str().expect("one").to_owned())
    };
    let mut here = [next(&mut list).await.1, next(&mut list).await.1];
    here.sort();
    assert_eq!(here, ["a", "b"]);
    server.post("/a/events", r#"{"type":"scan_started"}"#).await;
    server.begin("c").await;
    assert_eq!(next(&mut list).await, ("3".into(), "c".into(), "active".into()));
    server.post("/a/end", r#"{"status":"failed"}"#).await;
    assert_eq!(next(&mut list).await, ("4".into(), "a".into(), "failed".into()), "who leaves the list is told");
    drop(list);
    server.post("/b/end", r#"{"status":"completed"}"#).await;
    let mut list = Messages::open(&server, "", Some(4)).await;
    assert_eq!(next(&mut list).await, ("5".into(), "b".into(), "completed".into()));
    server.stop().await;
}

#[tokio::test]
async fn there_are_only_so_many_followers() {
    let server = Server::local().await;
    server.begin("s").await;
    let mut followers = Vec::new();
    for _ in 0..256 {
        followers.push(Messages::open(&server, "/s/events", None).await);
    }
    let follow = async || {
        let request = server.request(Method::GET, "/s/events").header("accept", "text/event-stream");
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(follow().await, 503);
    followers.pop();
    until("the seat of one that has left", async || (follow().await == 200).then_some(())).await;
    server.stop().await;
}
