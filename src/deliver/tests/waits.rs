//! Errors, and the waiting that they call for.

use super::*;

#[tokio::test(start_paused = true)]
async fn waits_grow_and_only_what_is_left_is_sent_again() {
    let mut bench = Bench::new();
    bench.append_wanted(5);
    bench.sink.script().sends = [Do::Fail(2, retryable()), Do::Fail(0, retryable()), Do::Stop(2)].into();
    let status = bench.run().drained().await;
    assert_eq!(bench.sink.sent(), [vec![0, 1, 2, 3, 4], vec![2, 3, 4], vec![2, 3, 4], vec![4]]);
    let script = bench.sink.script();
    // Before the first call and after each error.
    let resumed: Vec<Offset> = script.resumed.iter().map(|(_, at)| at.offset).collect();
    assert_eq!(resumed, [0, 2, 2]);
    let wait = script.sent[2].0 - script.sent[0].0;
    assert!(wait <= Duration::from_millis(350), "{wait:?}");
    assert_eq!((status.delivered, status.failures), (5, 0));
    assert_eq!(status.last_error.map(|error| error.message), Some("down".into()));
}

#[tokio::test(start_paused = true)]
async fn events_of_a_short_while_go_together_and_at_a_shutdown_at_once() {
    let mut bench = Bench::new();
    let gather = Duration::from_millis(20);
    let running = bench.run_with(Settings { gather, ..Settings::default() });
    running.drained().await;
    let began = Instant::now();
    for _ in 0..3 {
        bench.append_wanted(1);
        tokio::time::sleep(gather / 4).await;
    }
    running.drained().await;
    assert_eq!(bench.sink.sent(), [vec![0, 1, 2]]);
    assert_eq!(bench.sink.script().sent[0].0 - began, gather);
    bench.append_wanted(1);
    tokio::task::yield_now().await;
    let asked = Instant::now();
    running.shutdown.cancel();
    running.task.await.expect("no panic");
    assert_eq!((Instant::now(), bench.sink.sent().len()), (asked, 2));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_leaves_what_a_delivery_was_behind_and_does_not_wait_for_one_that_hangs() {
    for (count, expected) in [(page::MAX_EVENTS, 1), (page::MAX_EVENTS + 1, 0)] {
        let mut bench = Bench::new();
        let running = bench.run_with(Settings { gather: Duration::from_secs(1), ..Settings::default() });
        running.drained().await;
        for _ in 0..count / 512 {
            bench.append_wanted(512);
        }
        bench.append_wanted(count % 512);
        bench.sink.script().sends = [Do::Hang].into();
        let asked = Instant::now();
        running.shutdown.cancel();
        running.task.await.expect("no panic");
        assert_eq!((asked.elapsed(), bench.sink.sent().len()), (FINISH * expected, expected as usize));
        assert_eq!(bench.cursor().map(|cursor| cursor["offset"].clone()), Some(json!(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_begins_small_again_after_progress() {
    let mut bench = Bench::new();
    bench.append_wanted(20);
    let round = || [Do::Fail(1, retryable()), Do::Fail(0, retryable()), Do::Fail(0, retryable())];
    bench.sink.script().sends = (0..15).flat_map(|_| round()).collect();
    bench.run().drained().await;
    let script = bench.sink.script();
    let longest = script.sent.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
    assert!(longest.is_some_and(|longest| longest <= Duration::from_millis(401)), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_closes_at_a_connection_when_there_is_nothing_to_send() {
    let bench = Bench::new();
    bench.sink.script().resumes = (0..6).map(|_| Err(retryable())).collect();
    let running = bench.run();
    running.until("open", |status| status.breaker == Circuit::Open).await;
    let status = running.until("idle", |status| status.state == State::Idle).await;
    assert_eq!(status.breaker, Circuit::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_settles_nothing_and_tells_no_error_is_an_error() {
    let mut bench = Bench::new();
    bench.append_wanted(1);
    bench.sink.script().sends = [Do::Stop(0)].into();
    let status = bench.run().drained().await;
    assert_eq!((bench.sink.sent().len(), bench.sink.script().resumed.len()), (2, 2));
    assert!(status.last_error.is_some_and(|error| error.message.contains("nothing was settled")));
}

#[tokio::test(start_paused = true)]
async fn a_destination_is_left_alone_for_as_long_as_it_says() {
    let mut bench = Bench::new();
    bench.append_wanted(2);
    let after = Duration::from_millis(12_345);
    let busy = || sink::Error::Throttled { message: "busy".into(), after };
    bench.sink.script().sends = (0..9).map(|_| Do::Fail(0, busy())).collect();
    let running = bench.run();
    running.drained().await;
    let sent = &bench.sink.script().sent;
    assert_eq!((sent.len(), sent[9].0 - sent[0].0), (10, after * 9), "and it does not open the breaker");
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_change_is_tried_slowly() {
    let mut bench = Bench::new();
    bench.append_wanted(1);
    let wrong = || Err(sink::Error::Misconfigured("wrong password".into()));
    bench.sink.script().resumes = [wrong(), wrong()].into();
    let running = bench.run();
    let status = running.until("it waits", |status| status.state == State::Waiting).await;
    assert!(status.retry_at.is_some() && status.last_error.is_some_and(|e| e.message == "wrong password"));
    running.drained().await;
    let resumed = &bench.sink.script().resumed;
    for pair in resumed.windows(2) {
        let wait = pair[1].0 - pair[0].0;
        assert!((15..=31).contains(&wait.as_secs()), "{wait:?}");
    }
    assert_eq!(resumed.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dead_destination_opens_the_breaker_and_one_event_closes_it() {
    let mut bench = Bench::new();
    bench.append_wanted(10);
    bench.sink.script().resumes = (0..7).map(|_| Err(retryable())).collect();
    bench.sink.script().sends = [Do::Fail(0, retryable())].into();
    let running = bench.run();
    let status = running.until("open", |status| status.breaker == Circuit::Open).await;
    assert_eq!(status.failures, 5);
    let status = running.drained().await;
    assert_eq!(status.breaker, Circuit::Closed);
    let script = bench.sink.script();
    let waits: Vec<u64> = script.resumed.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).collect();
    assert_eq!(waits[4..], [5, 10, 20, 40], "open, each time for longer");
    assert!(waits[..4].iter().all(|wait| *wait <= 1));
    let sent: Vec<&Vec<Offset>> = script.sent.iter().map(|(_, offsets)| offsets).collect();
    assert_eq!(sent, [&vec![0], &vec![0], &(1..10).collect()], "one event decides");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_given_up() {
    let mut bench = Bench::new();
    bench.append_wanted(1);
    bench.sink.script().sends = [Do::Hang].into();
    let status = bench.run().drained().await;
    let script = bench.sink.script();
    let wait = script.sent[1].0 - script.sent[0].0;
    assert!((60_000..=60_100).contains(&wait.as_millis()), "{wait:?}");
    assert_eq!(script.resumed.len(), 2);
    assert!(status.last_error.is_some_and(|error| error.message.contains("60 s")));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_wait_and_finishes_a_call() {
    let mut bench = Bench::new();
    bench.append_wanted(1);
    bench.sink.script().sends = [Do::Fail(0, sink::Error::Misconfigured("no".into()))].into();
    let running = bench.run();
    running.until("it waits", |status| status.state == State::Waiting).await;
    let before = Instant::now();
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    assert_eq!(before.elapsed(), Duration::ZERO);

    bench.sink.script().sends = [Do::Hang].into();
    let running = bench.run();
    running.until("it sends", |status| status.state == State::Delivering).await;
    tokio::task::yield_now().await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    assert_eq!(before.elapsed(), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stuck_delays_only_itself() {
    let mut bench = Bench::new();
    bench.append_wanted(2);
    bench.sink.script().sends = [Do::Hang].into();
    let stuck = bench.run();
    stuck.until("it sends", |status| status.state == State::Delivering).await;
    let sink = Scripted::default();
    let (other, handle) = Delivery::new("other", sink.clone(), bench.store.clone(), Settings::default());
    let other = Running {
        handle,
        shutdown: CancellationToken::new(),
        task: tokio::spawn(other.run(CancellationToken::new())),
    };
    let before = Instant::now();
    other.drained().await;
    assert_eq!((sink.sent(), before.elapsed()), (vec![vec![0, 1]], Duration::ZERO));
    assert_eq!(stuck.handle.status().expect("readable").offset, 0);
}
