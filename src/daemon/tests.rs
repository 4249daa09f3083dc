//! Every way out of a daemon drains.

use std::time::Duration;

use super::*;
use crate::config;

fn settings(dir: &tempfile::TempDir) -> Settings {
    let store =
        config::Store { dir: dir.path().join("store"), min_free: 0, unsafe_fs: true, ..config::Store::default() };
    let session = config::Session { spool: dir.path().join("spool"), ..config::Session::default() };
    Settings { store, session, ..Settings::default() }
}

/// The store is closed and whole.
fn check_store(settings: &Settings) {
    let store = Store::open(&settings.store).expect("nobody holds it");
    assert_eq!(store.check().expect("a check").violations, Vec::<String>::new());
}

async fn check_failure(
    expected: &str,
    task: impl FnOnce(CancellationToken) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
) {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(&dir);
    let mut daemon = Daemon::start(settings.clone(), None).await.expect("it starts");
    daemon.tasks.spawn("bad", Stage::Sources, task);
    let error = daemon.run(Shutdown::default()).await.expect_err("it fails").to_string();
    assert_eq!(error, expected);
    check_store(&settings);
}

#[tokio::test]
async fn a_task_that_fails_panics_or_ends_by_itself_drains_the_daemon() {
    check_failure("the task bad has failed: no more", |_| Box::pin(async { Err("no more".into()) })).await;
    check_failure("the task bad has panicked: oh", |_| Box::pin(async { panic!("oh") })).await;
    check_failure("the task bad has ended by itself", |_| Box::pin(async { Ok(()) })).await;
}

#[tokio::test]
async fn a_drain_is_quiet_and_stops_the_sources_first() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(&dir);
    let mut daemon = Daemon::start(settings.clone(), None).await.expect("it starts");
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for (name, stage) in [("reader", Stage::Readers), ("source", Stage::Sources)] {
        let order = order.clone();
        daemon.tasks.spawn(name, stage, move |stop| async move {
            stop.cancelled().await;
            order.lock().expect("whole").push(name);
            Ok(())
        });
    }
    let shutdown = Shutdown::default();
    shutdown.drain.cancel();
    daemon.run(shutdown).await.expect("a quiet end");
    assert_eq!(*order.lock().expect("whole"), ["source", "reader"]);
    check_store(&settings);
}

#[tokio::test]
async fn a_task_that_does_not_stop_is_forced_at_the_deadline_or_at_once() {
    for by_force in [false, true] {
        let dir = tempfile::tempdir().expect("a folder");
        let deadline = if by_force { Duration::from_secs(600) } else { Duration::from_secs(1) };
        let settings = Settings { drain_deadline: config::Drain(deadline), ..settings(&dir) };
        let mut daemon = Daemon::start(settings.clone(), None).await.expect("it starts");
        daemon.tasks.spawn("deaf", Stage::Readers, |_| std::future::pending());
        let shutdown = Shutdown::default();
        shutdown.drain.cancel();
        if by_force {
            let force = shutdown.force.clone();
            tokio::spawn(async move { force.cancel() });
        }
        let error = daemon.run(shutdown).await.expect_err("it is forced").to_string();
        let running = error.strip_prefix("the drain was forced while these were running: ").expect("it says so");
        // What is forced at once may find anything still running.
        let named = if by_force { running.split(", ").any(|name| name == "deaf") } else { running == "deaf" };
        assert!(named, "{error}");
    }
}
