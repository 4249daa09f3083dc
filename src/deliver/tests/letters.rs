//! What is refused for good, and what a person does about it.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_kept_durably_and_holds_nobody_up() {
    let mut bench = Bench::new();
    bench.append_wanted(4);
    bench.sink.script().sends = [Do::Refuse(&[1, 3])].into();
    let running = bench.run();
    let status = running.drained().await;
    assert_eq!((status.delivered, status.dead_lettered, status.offset), (2, 2, 4));
    bench.disk.crash(0);
    bench.store = Store::on(&bench.disk).expect("a good disk");
    let letters = bench.letters();
    let told: Vec<_> = letters.iter().map(|l| (l.offset, l.reason.as_str(), l.attempts, l.retrying)).collect();
    assert_eq!(told, [(Some(1), "no 1", 1, false), (Some(3), "no 3", 1, false)]);
    assert_eq!(letters[0].event, *bench.store.log(1, store::Limit::events(1)).expect("readable")[0].event);
    assert_eq!(bench.cursor().expect("saved")["offset"], 4, "saved with the last letter");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_sent_again_at_a_persons_wish() {
    let mut bench = Bench::new();
    bench.append_wanted(3);
    bench.sink.script().sends = [Do::Refuse(&[0, 1, 2]), Do::Refuse(&[0])].into();
    let running = bench.run();
    running.drained().await;
    let letters = bench.letters();
    dead_letter::retry(&bench.store, letters[0].id).expect("it is there");
    dead_letter::retry(&bench.store, letters[2].id).expect("it is there");
    assert!(bench.letters()[0].retrying);
    running.handle.nudge();
    running.until("the retry", |status| status.delivered == 1).await;
    let left = bench.letters();
    let told: Vec<_> = left.iter().map(|l| (l.offset, l.attempts, l.retrying)).collect();
    assert_eq!(told, [(Some(0), 2, false), (Some(1), 1, false)]);
    assert_eq!(bench.sink.sent()[1], [0, 2]);
    assert_eq!(bench.cursor().expect("saved")["offset"], 3);
    // Without a word it is seen all the same, and an error in between changes nothing.
    bench.sink.script().sends = [Do::Fail(0, retryable())].into();
    let filter = dead_letter::Filter { sink: Some("test".into()), ..Default::default() };
    assert_eq!(dead_letter::retry_all(&bench.store, &filter).expect("readable"), 2);
    running.until("the retries", |status| status.delivered == 3).await;
    assert!(bench.letters().is_empty());
    assert!(matches!(dead_letter::show(&bench.store, left[0].id), Err(dead_letter::Error::NotFound(_))));
    running.drained().await;
}

#[tokio::test(start_paused = true)]
async fn many_letters_are_sent_again_one_after_the_other_without_a_wait() {
    let mut bench = Bench::new();
    bench.append_wanted(150);
    bench.sink.script().sends = [Do::Refuse(&ALL)].into();
    let running = bench.run();
    running.drained().await;
    dead_letter::retry_all(&bench.store, &dead_letter::Filter::default()).expect("readable");
    running.handle.nudge();
    let asked = Instant::now();
    running.until("the retries", |status| status.delivered == 150).await;
    assert!(asked.elapsed() < Settings::default().look_for_retries, "{:?}", asked.elapsed());
    assert!(bench.letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_listed_by_pages_counted_and_discarded() {
    let mut bench = Bench::new();
    bench.append_wanted(150);
    bench.sink.script().sends = [Do::Refuse(&ALL)].into();
    let running = bench.run();
    running.drained().await;
    let filter = dead_letter::Filter::default();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = dead_letter::list(&bench.store, &filter, after, 60).expect("readable");
        seen.extend(page.letters.iter().filter_map(|letter| letter.offset));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..150).collect::<Vec<Offset>>());
    let other = dead_letter::Filter { sink: Some("other".into()), ..filter };
    assert_eq!(dead_letter::list(&bench.store, &other, None, 10).expect("readable"), dead_letter::Page::default());
    let first = bench.letters()[0].id;
    dead_letter::retry(&bench.store, first).expect("it is there");
    let stats = dead_letter::stats(&bench.store).expect("readable");
    assert_eq!((stats.len(), stats[0].letters, stats[0].retrying), (1, 150, 1));
    dead_letter::discard(&bench.store, first).expect("it is there");
    assert!(matches!(dead_letter::discard(&bench.store, first), Err(dead_letter::Error::NotFound(_))));
    assert_eq!(dead_letter::stats(&bench.store).expect("readable")[0].letters, 149);
    running.handle.nudge();
    running.drained().await;
    assert_eq!(bench.sink.sent().len(), 1, "what is discarded is not sent again");
}

const ALL: [usize; 150] = {
    let mut all = [0; 150];
    let mut index = 0;
    while index < all.len() {
        all[index] = index;
        index += 1;
    }
    all
};

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_cannot_be_kept_stops_the_cursor() {
    let mut bench = Bench::new();
    let running = bench.run();
    running.drained().await;
    bench.append_wanted(2);
    bench.sink.script().sends = [Do::Refuse(&[1])].into();
    bench.disk.fail(crate::store::Failing::Apply);
    running.until("it waits", |status| status.state == State::Waiting).await;
    assert_eq!(running.handle.status().expect("readable").offset, 0);
    assert_eq!(bench.cursor(), Some(json!({"offset": 0, "mark": "new", "required": true})));
    bench.writer.recover("a test").expect("a good disk");
    let status = running.drained().await;
    assert_eq!((bench.letters().len(), bench.sink.sent().len(), status.dead_lettered), (1, 1, 1));
}
