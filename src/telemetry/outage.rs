//! A receiver that is away: told once when it goes, and once when it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::config::without_password;
use crate::sink::otlp::{Fail, Signal};

/// Which signals do not get through.
#[derive(Debug)]
pub(super) struct Outage {
    endpoint: String,
    /// A bit for each.
    failing: AtomicU8,
}

/// What an export says about the receiver.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Begins,
    Ends,
    Nothing,
}

impl Outage {
    pub(super) fn of(endpoint: &str) -> Arc<Self> {
        Arc::new(Self { endpoint: without_password(endpoint), failing: AtomicU8::new(0) })
    }

    fn turn(&self, signal: Signal, failed: bool) -> Turn {
        let bit = match signal {
            Signal::Traces => 1,
            Signal::Logs => 2,
            Signal::Metrics => 4,
        };
        match failed {
            true if self.failing.fetch_or(bit, Ordering::AcqRel) == 0 => Turn::Begins,
            false if self.failing.fetch_and(!bit, Ordering::AcqRel) == bit => Turn::Ends,
            _ => Turn::Nothing,
        }
    }

    /// Takes what became of an export, and logs it where it is a turn.
    pub(super) fn tell(&self, signal: Signal, failed: Option<&Fail>) {
        let endpoint = &self.endpoint;
        match (self.turn(signal, failed.is_some()), failed) {
            (Turn::Begins, Some(error)) => {
                tracing::warn!("own telemetry does not reach {endpoint}, what is not taken is lost: {error}");
            }
            (Turn::Ends, _) => tracing::info!("own telemetry reaches {endpoint} again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_endpoint_is_not_told() {
        assert_eq!(Outage::of("https://me:hush@there:4318").endpoint, "https://***@there:4318");
    }

    #[test]
    fn an_outage_of_several_signals_begins_once_and_ends_once() {
        let outage = Outage::of("here");
        let steps = [
            (Signal::Logs, false, Turn::Nothing),
            (Signal::Logs, true, Turn::Begins),
            (Signal::Logs, true, Turn::Nothing),
            (Signal::Traces, true, Turn::Nothing),
            (Signal::Metrics, false, Turn::Nothing),
            (Signal::Logs, false, Turn::Nothing),
            (Signal::Logs, false, Turn::Nothing),
            (Signal::Traces, false, Turn::Ends),
            (Signal::Metrics, true, Turn::Begins),
        ];
        for (step, (signal, failed, expected)) in steps.into_iter().enumerate() {
            assert_eq!(outage.turn(signal, failed), expected, "step {step}");
        }
    }
}
