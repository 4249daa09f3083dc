//! What a remote writer makes of answers that break off, or that do not come from the daemon.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use serde_json::Value;
use watchpost::client::Client;
use watchpost::client::sessions::{Refusal, Refused, Settings, Started, Writer};
use watchpost::event::StreamId;

/// How one request is answered.
#[derive(Clone, Copy)]
enum How {
    /// So many lines are stored, then one has to be sent again; the connection is cut.
    Later(u64),
    /// So many lines are stored; the connection is cut.
    Cut(u64),
    /// So many lines are stored, and the next one is half written; the answer ends as it should.
    Torn(u64),
    /// A proxy is there, and no daemon behind it.
    Proxy(StatusCode),
    /// There is no such session.
    Gone,
    /// All is stored, but for what is no event.
    Whole,
}

/// A daemon that remembers what it was asked.
#[derive(Clone)]
struct Fake {
    answers: Arc<Mutex<Vec<How>>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

fn stored(lines: u64) -> Vec<Result<Bytes, std::io::Error>> {
    (1..=lines).map(|line| Ok(format!("{{\"line\":{line},\"seq\":{}}}\n", line + 1).into())).collect()
}

async fn answer(State(fake): State<Fake>, headers: HeaderMap, body: String) -> Response<Body> {
    let lines: Vec<String> = body.lines().map(str::to_owned).collect();
    let key = headers["idempotency-key"].to_str().expect("ASCII").to_owned();
    fake.asked.lock().expect("unpoisoned").push((key, body));
    let how = fake.answers.lock().expect("unpoisoned").pop().unwrap_or(How::Whole);
    let cut = || Err(std::io::Error::other("cut"));
    let told = |line: u64, status: u16| -> Result<Bytes, std::io::Error> {
        Ok(format!("{{\"line\":{line},\"error\":{{\"message\":\"no\",\"status\":{status}}}}}\n").into())
    };
    let parts: Vec<Result<Bytes, std::io::Error>> = match how {
        How::Later(lines) => stored(lines).into_iter().chain([told(lines + 1, 503), cut()]).collect(),
        How::Cut(lines) => stored(lines).into_iter().chain([cut()]).collect(),
        How::Torn(lines) => stored(lines).into_iter().chain([Ok("{\"line\":".into())]).collect(),
        How::Proxy(status) => {
            let body = Body::from("<html>no daemon here</html>");
            return Response::builder().status(status).body(body).expect("an answer");
        }
        How::Gone => {
            let body = Body::from(r#"{"error":{"message":"there is no session s"}}"#);
            return Response::builder().status(StatusCode::NOT_FOUND).body(body).expect("an answer");
        }
        How::Whole => (1..)
            .zip(&lines)
            .map(|(line, text)| match text.contains("bad") {
                true => told(line, 400),
                false => Ok(format!("{{\"line\":{line},\"seq\":{}}}\n", line + 1).into()),
            })
            .collect(),
    };
    // Each part on its own, so that what stands before a cut is sent.
    let parts = futures_util::stream::unfold(parts.into_iter(), |mut parts| async move {
        tokio::task::yield_now().await;
        parts.next().map(|part| (part, parts))
    });
    Response::new(Body::from_stream(parts))
}

/// A writer to a daemon that answers so, and well from then on.
async fn writer(answers: &[How]) -> (Fake, Writer) {
    let fake =
        Fake { answers: Arc::new(Mutex::new(answers.iter().rev().copied().collect())), asked: Arc::default() };
    let routes = Router::new().route("/api/sessions/s/events", post(answer)).with_state(fake.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    // Until the test ends, and its runtime with it.
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let settings = Settings { backoff_first: std::time::Duration::from_millis(1), ..Settings::default() };
    let started = Started { id: StreamId::new("s").expect("an id"), traceparent: String::new() };
    (fake, Writer::resume(Client::new(&url, None).expect("a client"), started, settings))
}

async fn check(answers: &[How]) {
    let (fake, writer) = writer(answers).await;
    for n in 1..=5 {
        let kind = if n == 4 { "bad" } else { "step" };
        writer.line(n, format!("{{\"type\":\"{kind}\",\"data\":{{\"n\":{n}}}}}")).await.expect("taken");
    }
    let tally = writer.flush().await;
    assert_eq!((tally.stored, tally.refused, tally.waits_for, tally.closed), (4, 1, None, None));
    assert_eq!(writer.take_refusals(), [Refusal { number: 4, reason: "no".into() }]);
    let asked = fake.asked.lock().expect("unpoisoned");
    assert_eq!(asked.len(), answers.len() + 1);
    assert!(asked.iter().all(|one| *one == asked[0]), "the same lines under the same key: {asked:?}");
    let numbers: Vec<u64> = asked[0]
        .1
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["data"]["n"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn an_answer_that_says_later_and_is_cut_refuses_nothing_and_is_asked_for_again() {
    check(&[How::Later(2), How::Later(0), How::Later(4)]).await;
    check(&[How::Cut(3), How::Cut(0), How::Cut(5)]).await;
}

#[tokio::test]
async fn an_answer_that_ends_in_a_line_and_one_of_a_proxy_are_asked_for_again() {
    check(&[How::Torn(2), How::Torn(0)]).await;
    check(&[
        How::Proxy(StatusCode::BAD_GATEWAY),
        How::Proxy(StatusCode::SERVICE_UNAVAILABLE),
        How::Proxy(StatusCode::GATEWAY_TIMEOUT),
    ])
    .await;
}

#[tokio::test]
async fn where_the_session_takes_no_more_all_that_waits_is_told() {
    let (fake, writer) = writer(&[How::Whole, How::Gone]).await;
    for n in 1..=2000 {
        writer.line(n, "{\"type\":\"step\"}".into()).await.expect("taken");
    }
    let tally = writer.flush().await;
    let first = fake.asked.lock().expect("unpoisoned")[0].1.lines().count() as u64;
    assert_eq!((tally.stored, tally.refused), (first, 2000 - first));
    assert!(tally.closed.is_some_and(|reason| reason.contains("there is no session s")));
    let refusals = writer.take_refusals();
    assert_eq!((refusals[0].number, refusals.len()), (first + 1, 1000));
    assert!(matches!(writer.try_emit("step", &serde_json::json!({})), Err(Refused::Closed(_))));
    assert_eq!(fake.asked.lock().expect("unpoisoned").len(), 2);
}
