//! One call of an OTLP sink, against a receiver that answers what a test tells it to.

use std::time::Duration;

use watchpost::config::{Compression, Exporter, Otlp, Protocol, Secret};
use watchpost::event::Logged;
use watchpost::sink::otlp::Logs;
use watchpost::sink::{Cursor, Error, Sent, Sink};

use super::support::certificates::certificates;
use super::support::events;
use super::support::otlp::{Answer, Receiver, Reply, Request, tls};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

/// Requests of ten records, four at a time.
fn small() -> Otlp {
    Otlp { batch_records: 10, window: 4, ..Otlp::default() }
}

/// A sink that is ready to send there.
pub(crate) async fn ready(exporter: Exporter) -> Logs {
    let mut sink = Logs::new(&small(), exporter);
    let at = Cursor::default();
    assert_eq!(sink.resume(&at).await, Ok(at));
    sink
}

/// What became of these events, sent to a receiver that answers as the script says.
async fn send(
    protocol: Protocol,
    events: &[Logged],
    script: impl FnMut(&Request) -> Reply + Send + 'static,
) -> (Sent, Receiver) {
    let receiver = Receiver::scripted(protocol, script).await;
    let sent = ready(receiver.exporter()).await.send(events).await;
    (sent, receiver)
}

fn id(offset: u64) -> String {
    events::id(offset).to_string()
}

/// Each of these was taken exactly once, and nothing else was.
fn taken_once(receiver: &Receiver, offsets: impl IntoIterator<Item = u64>) {
    let mut taken: Vec<(String, usize)> = receiver.taken().into_iter().collect();
    taken.sort();
    let expected: Vec<(String, usize)> = offsets.into_iter().map(|offset| (id(offset), 1)).collect();
    assert_eq!(taken, expected);
}

/// Refuses each request with one of these, whole.
fn whole(poison: &[u64], answer: impl Into<Answer>) -> impl FnMut(&Request) -> Reply + Send + 'static {
    let (poison, answer): (Vec<String>, Answer) = (poison.iter().copied().map(id).collect(), answer.into());
    move |request| {
        let refused = request.ids.iter().any(|id| poison.contains(id));
        if refused { Reply::refuse(answer.clone()) } else { Reply::take() }
    }
}

/// Those with records are refused.
fn all(answer: impl Into<Answer>) -> impl FnMut(&Request) -> Reply + Send + 'static {
    let answer = answer.into();
    move |request| if request.ids.is_empty() { Reply::take() } else { Reply::refuse(answer.clone()) }
}

fn letters(sent: &Sent) -> Vec<usize> {
    sent.refused.iter().map(|refused| refused.index).collect()
}

#[tokio::test]
async fn every_record_arrives_over_both_protocols_whatever_the_compression() {
    let encodings = [(Compression::None, ""), (Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")];
    for (protocol, (compression, encoding)) in BOTH.iter().flat_map(|p| encodings.map(|c| (*p, c))) {
        let receiver = Receiver::start(protocol).await;
        let headers =
            vec![("x-tenant".into(), Secret::new("me")), ("authorization".into(), Secret::new("Bearer s"))];
        let mut sink = ready(Exporter { compression, headers, ..receiver.exporter() }).await;
        let sent = sink.send(&events::run(0, 25)).await;
        assert_eq!(sent, Sent { settled: 25, ..Sent::default() });
        taken_once(&receiver, 0..25);
        let mut sizes: Vec<usize> = receiver.requests().iter().map(|request| request.ids.len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [5, 10, 10]);
        let (path, name) = match protocol {
            Protocol::Grpc => ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "grpc-encoding"),
            Protocol::HttpProtobuf => ("/v1/logs", "content-encoding"),
        };
        for request in receiver.requests() {
            assert_eq!((request.path.as_str(), request.header(name)), (path, encoding));
            assert_eq!((request.header("x-tenant"), request.header("authorization")), ("me", "Bearer s"));
            assert!(request.header("user-agent").contains("OTel-OTLP-Exporter-Rust/"), "{request:?}");
        }
    }
}

#[tokio::test]
async fn requests_are_cut_by_bytes_too() {
    let receiver = Receiver::start(Protocol::Grpc).await;
    let settings = Otlp { batch_bytes: 4000, ..Otlp::default() };
    let mut sink = Logs::new(&settings, receiver.exporter());
    sink.resume(&Cursor::default()).await.expect("a channel");
    assert_eq!(sink.send(&events::run(0, 60)).await.settled, 60);
    taken_once(&receiver, 0..60);
    let sizes: Vec<usize> = receiver.requests().iter().map(|request| request.bytes).collect();
    assert!(sizes.len() > 2 && sizes.iter().all(|bytes| *bytes < 4500), "{sizes:?}");
}

#[tokio::test]
async fn each_grpc_code_has_its_consequence() {
    for code in 1..=16 {
        let (sent, receiver) = send(Protocol::Grpc, &events::run(0, 3), all(code)).await;
        match code {
            2 | 3 | 6 | 9 | 13 => assert_eq!((letters(&sent), &sent.error), (vec![0, 1, 2], &None), "{code}"),
            5 | 7 | 12 | 16 => assert!(matches!(sent.error, Some(Error::Misconfigured(_))), "{code}: {sent:?}"),
            _ => assert!(matches!(sent.error, Some(Error::Retryable(_))), "{code}: {sent:?}"),
        }
        assert!(sent.error.is_none() || sent.settled == 0, "{code}");
        taken_once(&receiver, []);
    }
}

#[tokio::test]
async fn each_http_status_has_its_consequence() {
    for status in [400_u16, 401, 403, 404, 408, 415, 422, 429, 500, 502, 503, 504] {
        let (sent, _) = send(Protocol::HttpProtobuf, &events::run(0, 3), all(status)).await;
        match status {
            400 | 422 | 500 => assert_eq!((letters(&sent), &sent.error), (vec![0, 1, 2], &None), "{status}"),
            401 | 403 | 404 | 415 => assert!(matches!(sent.error, Some(Error::Misconfigured(_))), "{sent:?}"),
            _ => assert!(matches!(sent.error, Some(Error::Retryable(_))), "{status}: {sent:?}"),
        }
    }
}

#[tokio::test]
async fn what_a_receiver_says_about_when_to_come_back_is_obeyed() {
    let after = Duration::from_millis(1500);
    for code in [8, 14] {
        let script = all(Answer::Grpc(code, "slow down".into(), Some(after)));
        let (sent, _) = send(Protocol::Grpc, &events::run(0, 3), script).await;
        let message = if code == 8 { "slow down (ResourceExhausted)" } else { "slow down (Unavailable)" };
        assert_eq!(sent.error, Some(Error::Throttled { message: message.into(), after }));
    }
    let script = all(Answer::Http(429, vec![("retry-after", "7".into())], "slow down"));
    let (sent, _) = send(Protocol::HttpProtobuf, &events::run(0, 3), script).await;
    assert!(
        matches!(sent.error, Some(Error::Throttled { after, .. }) if after == Duration::from_secs(7)),
        "{sent:?}"
    );
}

#[tokio::test]
async fn only_the_record_that_is_refused_becomes_a_letter() {
    for protocol in BOTH {
        let answer = if protocol == Protocol::Grpc { Answer::from(3) } else { Answer::from(400_u16) };
        let (sent, receiver) = send(protocol, &events::run(0, 40), whole(&[0, 17, 18, 39], answer)).await;
        assert_eq!((sent.settled, letters(&sent), &sent.error), (40, vec![0, 17, 18, 39], &None));
        assert!(sent.refused.iter().all(|refused| refused.reason.contains("said the receiver")), "{sent:?}");
        taken_once(&receiver, (0..40).filter(|offset| ![0, 17, 18, 39].contains(offset)));
    }
}

#[tokio::test]
async fn a_receiver_that_takes_nothing_at_all_makes_no_letters() {
    for (protocol, answer) in [(BOTH[0], Answer::from(13)), (BOTH[1], Answer::from(400_u16))] {
        let (sent, receiver) = send(protocol, &events::run(0, 30), move |_| Reply::refuse(answer.clone())).await;
        assert_eq!((sent.settled, letters(&sent)), (0, vec![]));
        assert!(matches!(sent.error, Some(Error::Misconfigured(_))), "{sent:?}");
        assert!(receiver.requests().len() <= 12, "it asks no more");
    }
}

#[tokio::test]
async fn an_unknown_compression_is_a_persons_business() {
    let unknown = |answer: Answer, name: &'static str| {
        move |request: &Request| {
            if request.header(name) == "zstd" { Reply::refuse(answer.clone()) } else { Reply::take() }
        }
    };
    let cases = [
        (BOTH[0], unknown(Answer::from(12), "grpc-encoding")),
        (BOTH[1], unknown(Answer::from(415_u16), "content-encoding")),
        // As the Collector answers.
        (BOTH[1], unknown(Answer::from(400_u16), "content-encoding")),
    ];
    for (protocol, script) in cases {
        let receiver = Receiver::scripted(protocol, script).await;
        let zstd = Exporter { compression: Compression::Zstd, ..receiver.exporter() };
        let sent = ready(zstd).await.send(&events::run(0, 3)).await;
        assert!(matches!(sent.error, Some(Error::Misconfigured(_))) && sent.settled == 0, "{sent:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_sent_in_smaller_ones() {
    let large = Answer::Grpc(8, "grpc: received message larger than max (5 vs. 4)".into(), None);
    for (protocol, answer) in [(BOTH[0], large), (BOTH[1], Answer::from(413_u16))] {
        let script = move |request: &Request| {
            let large = request.ids.len() > 3 || request.ids.contains(&id(7));
            if large { Reply::refuse(answer.clone()) } else { Reply::take() }
        };
        let (sent, receiver) = send(protocol, &events::run(0, 20), script).await;
        assert_eq!((sent.settled, letters(&sent), &sent.error), (20, vec![7], &None));
        taken_once(&receiver, (0..20).filter(|offset| *offset != 7));
    }
}

#[tokio::test]
async fn of_a_partial_success_only_what_was_rejected_becomes_a_letter() {
    for protocol in BOTH {
        let poison: Vec<String> = [3, 24].into_iter().map(id).collect();
        let script = move |request: &Request| {
            let rejected: Vec<String> = request.ids.iter().filter(|id| poison.contains(id)).cloned().collect();
            Reply::reject(&rejected, if rejected.is_empty() { "" } else { "a bad field" })
        };
        let (sent, receiver) = send(protocol, &events::run(0, 30), script).await;
        assert_eq!((sent.settled, letters(&sent), &sent.error), (30, vec![3, 24], &None));
        assert!(sent.refused.iter().all(|refused| refused.reason == "a bad field" && refused.sent.is_some()));
        let taken = receiver.taken();
        assert_eq!(taken.len(), 28);
        // Those of the request without a rejected record: once.
        assert!((10..20).all(|offset| taken[&id(offset)] == 1), "{taken:?}");
    }
}

#[tokio::test]
async fn a_partial_success_of_nothing_makes_a_letter_of_each_with_one_request() {
    let script = |request: &Request| Reply::reject(&request.ids, "none of these");
    let (sent, receiver) = send(Protocol::Grpc, &events::run(0, 20), script).await;
    assert_eq!((sent.settled, sent.refused.len(), receiver.requests().len()), (20, 20, 2));
}

#[tokio::test]
async fn a_wrong_count_of_rejected_records_loses_nothing() {
    for count in [-1, 1, 9, 99] {
        let script = move |request: &Request| {
            let bad: Vec<String> =
                request.ids.iter().filter(|taken| **taken == id(4) || **taken == id(8)).cloned().collect();
            match bad.len() {
                0 => Reply::take(),
                _ => Reply::reject(&bad, "").say(Answer::Partial(count, "miscounted")),
            }
        };
        let (sent, receiver) = send(Protocol::Grpc, &events::run(0, 10), script).await;
        assert_eq!((sent.settled, letters(&sent), &sent.error), (10, vec![4, 8], &None), "{count}");
        assert_eq!(receiver.taken().len(), 8, "{count}");
    }
}

#[tokio::test]
async fn a_warning_refuses_nothing() {
    let script = |_: &Request| Reply::take().say(Answer::Partial(0, "a field is deprecated"));
    let (sent, receiver) = send(Protocol::Grpc, &events::run(0, 30), script).await;
    assert_eq!(sent, Sent { settled: 30, ..Sent::default() });
    taken_once(&receiver, 0..30);
}

#[tokio::test]
async fn answers_that_come_out_of_order_settle_events_in_order() {
    let script = |request: &Request| {
        let first = request.ids.contains(&id(0));
        Reply::take().after(Duration::from_millis(if first { 300 } else { 0 }))
    };
    let (sent, receiver) = send(Protocol::Grpc, &events::run(0, 40), script).await;
    assert_eq!(sent.settled, 40);
    taken_once(&receiver, 0..40);
    // The first fails: nothing is settled, and what the receiver has is not sent again.
    let receiver = Receiver::scripted(Protocol::Grpc, whole(&[0], 14)).await;
    let mut sink = ready(receiver.exporter()).await;
    let sent = sink.send(&events::run(0, 40)).await;
    assert!(sent.settled == 0 && matches!(sent.error, Some(Error::Retryable(_))), "{sent:?}");
    receiver.answers(|_| Reply::take());
    sink.resume(&Cursor::default()).await.expect("a channel");
    assert_eq!(sink.send(&events::run(0, 40)).await, Sent { settled: 40, ..Sent::default() });
    taken_once(&receiver, 0..40);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_waited_for_as_long_as_set() {
    for protocol in BOTH {
        let receiver = Receiver::scripted(protocol, |_| Reply::refuse(Answer::Silence)).await;
        let mut sink = ready(Exporter { timeout: Duration::from_millis(200), ..receiver.exporter() }).await;
        let sent = sink.send(&events::run(0, 10)).await;
        assert_eq!(sent.error, Some(Error::Retryable("no answer within 200 ms".into())));
        receiver.answers(|_| Reply::take());
        sink.resume(&Cursor::default()).await.expect("a channel");
        assert_eq!(sink.send(&events::run(0, 10)).await, Sent { settled: 10, ..Sent::default() });
        taken_once(&receiver, 0..10);
    }
}

#[tokio::test]
async fn what_was_under_way_when_the_connection_broke_is_sent_again() {
    for protocol in BOTH {
        let script = |request: &Request| {
            if request.ids.contains(&id(20)) { Reply::take().say(Answer::Cut) } else { Reply::take() }
        };
        let receiver = Receiver::scripted(protocol, script).await;
        let mut sink = ready(receiver.exporter()).await;
        let sent = sink.send(&events::run(0, 40)).await;
        assert!(matches!(sent.error, Some(Error::Retryable(_))), "{sent:?}");
        receiver.answers(|_| Reply::take());
        let from = sent.settled as u64;
        sink.resume(&Cursor { offset: from, ..Cursor::default() }).await.expect("a channel");
        assert_eq!(sink.send(&events::run(from, 40 - from)).await.settled, sent_all(from));
        let taken = receiver.taken();
        assert!(taken.len() == 40 && taken.values().all(|times| *times <= 2), "{taken:?}");
        assert!((20..30).all(|offset| taken[&id(offset)] == 2), "the answer to these was lost");
    }
}

fn sent_all(from: u64) -> usize {
    40 - usize::try_from(from).expect("small")
}

#[tokio::test]
async fn nobody_there_is_no_ones_fault() {
    for protocol in BOTH {
        let exporter = Receiver::start(protocol).await.exporter();
        let sent = ready(exporter).await.send(&events::run(0, 1)).await;
        assert!(matches!(sent.error, Some(Error::Retryable(_))) && sent.settled == 0, "{sent:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_everything_to_be_sent() {
    let script = |request: &Request| {
        if request.ids.contains(&id(0)) { Reply::refuse(Answer::Silence) } else { Reply::take() }
    };
    let receiver = Receiver::scripted(Protocol::Grpc, script).await;
    let mut sink = ready(receiver.exporter()).await;
    let batch = events::run(0, 60);
    let dropped = tokio::time::timeout(Duration::from_millis(300), sink.send(&batch)).await;
    assert!(dropped.is_err(), "{dropped:?}");
    receiver.answers(|_| Reply::take());
    assert_eq!(sink.send(&batch).await, Sent { settled: 60, ..Sent::default() });
    taken_once(&receiver, 0..60);
}

#[tokio::test]
async fn a_probe_of_one_event_sends_no_more_than_that() {
    let receiver = Receiver::scripted(Protocol::Grpc, all(14)).await;
    let mut sink = ready(receiver.exporter()).await;
    let batch = events::run(0, 40);
    assert_eq!(sink.send(&batch).await.settled, 0);
    receiver.answers(|_| Reply::take());
    sink.resume(&Cursor::default()).await.expect("a channel");
    assert_eq!(sink.send(&batch[..1]).await, Sent { settled: 1, ..Sent::default() });
    taken_once(&receiver, 0..1);
    assert_eq!(sink.send(&batch[1..]).await.settled, 39);
    taken_once(&receiver, 0..40);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Receiver::start(Protocol::HttpProtobuf).await;
    let to = other.exporter().endpoint;
    let script = move |_: &Request| Reply::refuse(Answer::Http(307, vec![("location", to.clone())], ""));
    let receiver = Receiver::scripted(Protocol::HttpProtobuf, script).await;
    let headers = vec![("authorization".into(), Secret::new("s3cret"))];
    let sent = ready(Exporter { headers, ..receiver.exporter() }).await.send(&events::run(0, 1)).await;
    assert!(matches!(&sent.error, Some(Error::Misconfigured(_))), "{sent:?}");
    assert!(!format!("{sent:?}").contains("s3cret") && other.requests().is_empty());
}

#[tokio::test]
async fn over_tls_and_with_a_certificate_of_ones_own() {
    let dir = tempfile::tempdir().expect("a folder");
    certificates(dir.path());
    let file = |name: &str| dir.path().join(name);
    for (protocol, asks) in BOTH.iter().flat_map(|protocol| [(*protocol, false), (*protocol, true)]) {
        let receiver = Receiver::with(protocol, Some(tls(dir.path(), protocol, asks)), |_| Reply::take()).await;
        let with = |ca: &str, ours: Option<&str>| Exporter {
            ca_file: Some(file(ca)),
            client_certificate: ours.map(|name| (file(&format!("{name}.pem")), file(&format!("{name}.key")))),
            ..receiver.exporter()
        };
        let sent = ready(with("ca.pem", Some("client"))).await.send(&events::run(0, 2)).await;
        assert_eq!(sent, Sent { settled: 2, ..Sent::default() });
        let wrong = [with("other.pem", Some("client")), Exporter { ca_file: None, ..with("ca.pem", None) }];
        let strangers = [with("ca.pem", None), with("ca.pem", Some("other"))];
        for exporter in wrong.into_iter().chain(strangers.into_iter().filter(|_| asks)) {
            let sent = ready(exporter.clone()).await.send(&events::run(0, 2)).await;
            assert!(matches!(sent.error, Some(Error::Misconfigured(_))), "{exporter:?}: {sent:?}");
        }
        taken_once(&receiver, 0..2);
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named() {
    let mut cases =
        vec![(Exporter { ca_file: Some("/nowhere/ca.pem".into()), ..Exporter::default() }, "/nowhere/ca.pem")];
    for protocol in BOTH {
        let base = Exporter { protocol, ..Exporter::default() };
        let secret = Secret::new("s3cret\n");
        cases.push((Exporter { headers: vec![("x-a".into(), secret)], ..base.clone() }, "headers.x-a"));
        cases.push((Exporter { endpoint: "http://[".into(), ..base }, "endpoint"));
    }
    for (exporter, named) in cases {
        let mut sink = Logs::new(&small(), exporter);
        let error = sink.resume(&Cursor::default()).await.expect_err("it cannot be used");
        assert!(matches!(&error, Error::Misconfigured(said) if said.starts_with(named)), "{error:?}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
