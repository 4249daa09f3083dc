//! Waiting on a condition, with a deadline.

use std::time::{Duration, Instant};

/// Waits until `done` answers with something; fails after 30 s with what was waited for.
pub(crate) async fn until<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = done().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited 30 s in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
