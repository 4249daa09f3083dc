//! Waiting on a condition, with a deadline.

use std::time::{Duration, Instant};

/// Waits until `done` answers with something; fails after 30 s with what was waited for.
pub(crate) async fn until<T>(what: &str, done: impl AsyncFnMut() -> Option<T>) -> T {
    within(Duration::from_secs(30), what, done).await
}

/// The same with another time.
pub(crate) async fn within<T>(time: Duration, what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(value) = done().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {time:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
