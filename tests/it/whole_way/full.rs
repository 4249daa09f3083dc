//! The Collector's queue of spans is full, and the daemon is killed meanwhile.

use std::time::Duration;

use super::super::support::collector::{Backends, Collector};
use super::super::support::wait::within;
use super::world::World;

/// Requests that the queue has room for.
const SMALL: &str = "batch_records: 20";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_counts_twice_when_the_daemon_is_killed_while_the_collectors_queue_is_full() {
    let mut backend = Collector::stopped(Backends::default());
    let mut world = World::with(Backends::small_queue(&backend), SMALL, "").await;
    for _ in 0..3 {
        world.daemon.large_session().await;
        world.daemon.told("queue is full").await;
        world.daemon.behind(&["otlp-spans"]).await;
        world.daemon.kill().await;
    }
    world.daemon.told("queue is full").await;
    backend.restart();
    // The Collector waits for longer and longer between two tries to connect.
    let some = async || (!backend.spans().is_empty()).then_some(());
    within(Duration::from_secs(120), "the queue to become empty", some).await;
    world.daemon.kill().await;
    world.daemon.session().await;
    world.daemon.behind(&[]).await;
    let dir = world.daemon.drain().await;
    world.check(dir.path(), &backend).await;
}
