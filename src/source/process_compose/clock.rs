//! Time that passed, by a clock that nobody sets, also from before we were started.

use serde::{Deserialize, Serialize};

/// A moment on the clock of this boot of this machine.
///
/// CLOCK_MONOTONIC, not CLOCK_BOOTTIME: a supervisor counts `age` by the former, and by the latter every
/// process would look restarted after the machine was suspended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Tells this boot from the next; empty where the system does not say.
    pub boot: String,
    /// Milliseconds since the boot.
    pub millis: u64,
}

impl Mark {
    /// Now. `boot` comes from [`boot`].
    pub(super) fn now(boot: &str) -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let millis = u64::try_from(time.tv_sec).unwrap_or(0) * 1000;
        Self { boot: boot.into(), millis: millis + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000 }
    }

    /// Milliseconds since an earlier mark; `None` when the machine was booted in between, or may have been.
    pub fn since(&self, earlier: &Self) -> Option<u64> {
        (self.boot == earlier.boot && !self.boot.is_empty()).then(|| self.millis.saturating_sub(earlier.millis))
    }
}

/// What tells this boot of the machine from the others; empty where the system does not say.
pub(super) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
