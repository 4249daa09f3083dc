//! Listens to the stream of state changes, and connects again when it breaks.

use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::clock::Mark;
use super::hint::Heard;
use crate::event::Timestamp;
use crate::process_compose::{Client, Error, Frames};

/// So many frames wait for the poll loop; beyond that the supervisor waits, and cuts us off if it is long.
pub(super) const BACKLOG: usize = 1024;

/// Between two attempts where there is no such stream, or it is cut again and again.
const SLOW: Duration = Duration::from_secs(60);

/// A connection that lived so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// What is heard.
pub(super) enum Sound {
    Connected(u64),
    Frame(Box<Heard>),
    Broken,
}

/// Listens until the receiver is gone. `pause` is the time between two attempts to connect.
pub(super) async fn listen(client: Client, boot: String, pause: Duration, sounds: Sender<Sound>) {
    let mut wait = pause;
    while !sounds.is_closed() {
        let opened = tokio::time::Instant::now();
        match client.frames().await {
            Ok(frames) => {
                hear(frames, &boot, &sounds).await;
                // A supervisor that cuts at once will do so again: more than 256 processes are too many for it.
                wait = if opened.elapsed() >= GOOD { pause } else { (wait * 2).min(SLOW) };
            }
            Err(Error::Unreachable(_) | Error::Timeout(_)) => wait = pause,
            Err(error) => {
                tracing::debug!("no stream of states: {error}");
                wait = SLOW;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = sounds.closed() => {}
        }
    }
}

async fn hear(mut frames: Frames, boot: &str, sounds: &Sender<Sound>) {
    let connected = Mark::now(boot).millis;
    if sounds.send(Sound::Connected(connected)).await.is_err() {
        return;
    }
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = sounds.closed() => return,
        };
        let frame = match frame {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                tracing::debug!("the stream of states broke: {error}");
                break;
            }
            None => break,
        };
        let heard = Heard {
            process: frame.state,
            snapshot: frame.snapshot,
            at: Timestamp::now(),
            millis: Mark::now(boot).millis,
            connected,
        };
        if sounds.send(Sound::Frame(Box::new(heard))).await.is_err() {
            return;
        }
    }
    // Nobody is left to be told when this fails.
    let _ = sounds.send(Sound::Broken).await;
}
