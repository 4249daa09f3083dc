//! State: pure folds over events. Replay and live give the same.

pub mod process;
pub mod session;
