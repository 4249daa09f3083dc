//! A line of the log has no event name: `tracing` gives it its place in the source, which is another one with each
//! change of the file.

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LogRecord;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};

/// Takes the name off each record, to stand before the processor that exports.
#[derive(Debug)]
pub(super) struct Unnamed;

impl LogProcessor for Unnamed {
    fn emit(&self, record: &mut SdkLogRecord, _scope: &InstrumentationScope) {
        // On the wire, an empty name is none.
        record.set_event_name("");
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: std::time::Duration) -> OTelSdkResult {
        Ok(())
    }
}
