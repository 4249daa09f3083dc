//! Every name of the mapping, in tables from which `TELEMETRY.md` is made.

pub mod metrics;
