//! What a sink remembers, through restarts, failures and resets.

use super::*;
use crate::deliver::{From, Reset, reset, reset_running};
use crate::sink::{Again, Memory};

/// Remembers how many events it has taken in, and tells the destination at each which one it is.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Count>>);

#[derive(Default)]
struct Count {
    folded: u64,
    next: Offset,
    saved: u64,
    replayed: u64,
    /// The most events that were taken in and not saved.
    unsaved: u64,
    /// For the next calls of `send`: settles so many, then fails.
    fails: VecDeque<usize>,
    /// What arrived: the offset, and which event it is by the sink's count.
    sent: Vec<(Offset, u64)>,
    pending: VecDeque<(Offset, u64)>,
}

impl Counting {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().expect("no test panicked with it")
    }

    fn sent(&self) -> Vec<(Offset, u64)> {
        self.count().sent.clone()
    }
}

impl Count {
    fn fold(&mut self, logged: &Logged) {
        assert_eq!(logged.offset, self.next, "each is taken in once, in order");
        self.next += 1;
        self.folded += 1;
        self.unsaved = self.unsaved.max(self.folded - self.saved);
    }
}

impl Memory for Counting {
    fn clear(&mut self) {
        let mut count = self.count();
        (count.folded, count.next, count.saved) = (0, 0, 0);
        count.pending.clear();
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        assert_eq!(key, "count");
        let value: u64 = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let mut count = self.count();
        (count.folded, count.next, count.saved) = (value, value, value);
        Ok(())
    }

    fn replay(&mut self, logged: &Logged) {
        let mut count = self.count();
        count.fold(logged);
        count.replayed += 1;
    }

    fn changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut count = self.count();
        count.saved = count.folded;
        vec![("count".into(), Some(count.folded.to_string().into_bytes()))]
    }
}

impl Sink for Counting {
    fn wants(&self, _event: &Event) -> bool {
        true
    }

    async fn resume(&mut self, at: &Cursor) -> Result<Cursor, sink::Error> {
        Ok(at.clone())
    }

    async fn send(&mut self, batch: &[Logged]) -> Sent {
        let mut count = self.count();
        for logged in batch.iter().filter(|logged| logged.offset >= count.next).collect::<Vec<_>>() {
            count.fold(logged);
            let folded = count.folded;
            count.pending.push_back((logged.offset, folded));
        }
        let (settled, error) = match count.fails.pop_front() {
            Some(settled) => (settled.min(batch.len()), Some(retryable())),
            None => (batch.len(), None),
        };
        let sent: Vec<(Offset, u64)> = count.pending.drain(..settled).collect();
        count.sent.extend(sent);
        Sent { settled, error, ..Sent::default() }
    }

    async fn send_again(&mut self, letters: &[Again]) -> Sent {
        Sent { settled: letters.len(), ..Sent::default() }
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        Some(self)
    }
}

struct World {
    bench: Bench,
    sink: Counting,
}

impl World {
    fn with(events: usize) -> Self {
        let mut bench = Bench::new();
        bench.append_wanted(events);
        Self { bench, sink: Counting::default() }
    }

    fn run(&self) -> Running {
        let settings = Settings { resettable: true, ..Settings::default() };
        let (delivery, handle) = Delivery::new("test", self.sink.clone(), self.bench.store.clone(), settings);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(delivery.run(shutdown.clone()));
        Running { handle, shutdown, task }
    }

    /// Another process, with what is in the store and nothing else.
    fn crash(&mut self, running: Running) {
        running.task.abort();
        self.bench.disk.crash(0);
        self.bench.store = Store::on(&self.bench.disk).expect("a good disk");
        (self.bench.writer, self.bench.flusher) = self.bench.store.writer().expect("a good store");
        let sent = self.sink.sent();
        self.sink = Counting::default();
        self.sink.count().sent = sent;
    }
}

fn numbered(offsets: std::ops::Range<Offset>) -> Vec<(Offset, u64)> {
    offsets.map(|offset| (offset, offset + 1)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_with_what_was_saved() {
    let mut world = World::with(5);
    let running = world.run();
    running.drained().await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    world.sink = Counting::default();
    world.bench.append_wanted(2);
    world.run().drained().await;
    assert_eq!(world.sink.sent(), numbered(5..7));
    assert_eq!(world.sink.count().replayed, 0, "it was saved at the end");
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_what_was_not_saved_is_taken_in_again_and_not_sent() {
    let mut world = World::with(3);
    let running = world.run();
    running.drained().await;
    // The second page comes at once after the first: its cursor is saved, its memory is not yet.
    world.bench.append_wanted(4);
    running.drained().await;
    world.bench.store.put_durable(&[]).expect("a flush");
    assert!(world.sink.count().saved <= 3);
    world.crash(running);
    world.bench.append_wanted(1);
    world.run().drained().await;
    assert_eq!(world.sink.sent(), numbered(0..8));
    assert!(world.sink.count().replayed >= 4);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_again_after_an_error_is_not_taken_in_twice() {
    let world = World::with(10);
    world.sink.count().fails = [4, 0, 3].into();
    world.run().drained().await;
    assert_eq!(world.sink.sent(), numbered(0..10));
}

#[tokio::test(start_paused = true)]
async fn while_something_is_not_settled_nothing_is_saved() {
    let mut world = World::with(10);
    world.sink.count().fails = std::iter::once(4).chain(std::iter::repeat_n(0, 50)).collect();
    let running = world.run();
    running.until("it waits", |status| status.state == State::Waiting && status.offset == 4).await;
    world.bench.store.put_durable(&[]).expect("a flush");
    world.crash(running);
    world.run().drained().await;
    assert_eq!(world.sink.sent(), numbered(0..10), "the rest has the numbers that it had");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_while_something_is_not_settled_saves_nothing() {
    let mut world = World::with(3);
    let running = world.run();
    running.drained().await;
    world.sink.count().fails = std::iter::once(4).chain(std::iter::repeat_n(0, 50)).collect();
    world.bench.append_wanted(10);
    running.until("it waits", |status| status.state == State::Waiting && status.offset == 7).await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    let sent = world.sink.sent();
    world.sink = Counting::default();
    world.sink.count().sent = sent;
    world.run().drained().await;
    assert_eq!(world.sink.sent(), numbered(0..13), "the rest has the numbers that it had");
}

#[tokio::test(start_paused = true)]
async fn what_changed_is_saved_soon_also_when_nothing_comes_any_more() {
    let mut world = World::with(3);
    let running = world.run();
    running.drained().await;
    world.bench.append_wanted(2);
    running.drained().await;
    let sink = world.sink.clone();
    let saved = async {
        while sink.count().saved < 5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(5), saved).await.expect("it is saved");
}

#[tokio::test(start_paused = true)]
async fn a_reset_sends_again_with_the_memory_of_that_place() {
    let world = World::with(6);
    let running = world.run();
    running.drained().await;
    let handles = [running.handle.clone()];
    let done = reset_running(&handles, "test", From::Offset(2)).expect("readable");
    assert_eq!(done, [Reset { sink: "test".into(), offset: 2 }]);
    assert_eq!(reset_running(&handles, "tes", From::Start).expect("readable"), []);
    let sink = world.sink.clone();
    running.until("it is sent again", |_| sink.count().sent.len() == 10).await;
    assert_eq!(world.sink.sent(), [numbered(0..6), numbered(2..6)].concat());
}

#[tokio::test(start_paused = true)]
async fn a_reset_at_rest_is_done_at_the_next_start() {
    let mut world = World::with(6);
    let running = world.run();
    running.drained().await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    let committed = world.bench.store.log(4, crate::store::Limit::events(1)).expect("readable")[0].event.observed;
    for (from, offset) in [(From::Time(committed.plus_millis(60_000)), 6), (From::Start, 0)] {
        let done = reset(&world.bench.store, "test", from).expect("readable");
        assert_eq!(done, [Reset { sink: "test".into(), offset }]);
    }
    world.sink = Counting::default();
    world.run().drained().await;
    assert_eq!(world.sink.sent(), numbered(0..6));
}

#[tokio::test(start_paused = true)]
async fn a_reset_skips_nothing_that_was_not_sent() {
    let mut world = World::with(6);
    world.sink.count().fails = std::iter::once(4).chain(std::iter::repeat_n(0, 50)).collect();
    let running = world.run();
    running.until("it waits", |status| status.state == State::Waiting && status.offset == 4).await;
    let done = reset_running(std::slice::from_ref(&running.handle), "test", From::Offset(5)).expect("readable");
    assert_eq!(done, [Reset { sink: "test".into(), offset: 4 }]);
    running.drained().await;
    assert_eq!(world.sink.sent(), numbered(0..6));
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    world.bench.append_wanted(2);
    let done = reset(&world.bench.store, "test", From::Offset(8)).expect("readable");
    assert_eq!(done, [Reset { sink: "test".into(), offset: 6 }]);
}

/// A sink that has confirmed so many events, and of whose memory nothing is saved.
async fn forgotten(events: usize) -> World {
    let mut world = World::with(0);
    for _ in 0..events / 1000 {
        world.bench.append_wanted(1000);
    }
    let running = world.run();
    running.drained().await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    let store = &world.bench.store;
    store.put_durable(&crate::deliver::remember::forget(store, "test").expect("readable")).expect("room");
    world.sink = Counting::default();
    world
}

#[tokio::test(start_paused = true)]
async fn a_long_log_that_is_taken_in_again_is_saved_on_the_way() {
    let world = forgotten(30_000).await;
    let running = world.run();
    let sink = world.sink.clone();
    while sink.count().replayed < 30_000 {
        tokio::task::yield_now().await;
    }
    running.drained().await;
    assert!(sink.count().unsaved < 20_000, "{} events", sink.count().unsaved);
    assert_eq!(world.sink.sent(), []);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_log_that_is_taken_in_again() {
    let mut world = forgotten(30_000).await;
    let running = world.run();
    let sink = world.sink.clone();
    while sink.count().replayed == 0 {
        tokio::task::yield_now().await;
    }
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    let before = sink.count().replayed;
    assert!(before < 30_000 && sink.count().saved == before, "{before} events");
    world.sink = Counting::default();
    world.bench.append_wanted(1);
    world.run().drained().await;
    assert_eq!(world.sink.sent(), numbered(30_000..30_001));
    assert_eq!(world.sink.count().replayed, 30_000 - before);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_lost_with_its_handle_is_taken_in_again() {
    let mut world = World::with(3);
    let running = world.run();
    running.drained().await;
    let sink = world.sink.clone();
    running.until("it is saved", |_| sink.count().saved == 3).await;
    world.bench.disk.set_forgetful(true);
    world.bench.disk.crash(0);
    world.bench.writer.recover("an I/O error").expect("a good disk");
    world.bench.append_wanted(2);
    running.drained().await;
    assert_eq!((sink.sent(), sink.count().replayed), (numbered(0..5), 3));
}

#[test]
fn where_to_begin_is_start_an_offset_or_a_time() {
    assert_eq!("start".parse(), Ok(From::Start));
    assert_eq!("17".parse(), Ok(From::Offset(17)));
    assert_eq!("1970-01-01T00:00:01Z".parse(), Ok(From::Time(Timestamp::from_millis(1000))));
    let error = "yesterday".parse::<From>().expect_err("no place").to_string();
    assert!(error.starts_with("from: expected start, an offset"), "{error}");
}
