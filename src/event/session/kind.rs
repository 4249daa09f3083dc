//! The names of the types.

/// [`SessionStarted`](super::SessionStarted).
pub const SESSION_STARTED: &str = "session_started";
/// [`SessionEnded`](super::SessionEnded).
pub const SESSION_ENDED: &str = "session_ended";

/// [`SessionInterrupted`](super::SessionInterrupted).
pub const SESSION_INTERRUPTED: &str = "session_interrupted";
/// [`SessionResumed`](super::SessionResumed).
pub const SESSION_RESUMED: &str = "session_resumed";
/// [`IngestFailed`](super::IngestFailed).
pub const INGEST_FAILED: &str = "ingest_failed";

/// [`PlanConstructed`](super::PlanConstructed).
pub const PLAN_CONSTRUCTED: &str = "plan_constructed";
/// [`DescendantCheckStarted`](super::DescendantCheckStarted).
pub const DESCENDANT_CHECK_STARTED: &str = "descendant_check_started";
/// [`DescendantCheckPassed`](super::DescendantCheckPassed).
pub const DESCENDANT_CHECK_PASSED: &str = "descendant_check_passed";
/// [`DescendantCheckFailed`](super::DescendantCheckFailed).
pub const DESCENDANT_CHECK_FAILED: &str = "descendant_check_failed";
/// [`NodeSkipped`](super::NodeSkipped).
pub const NODE_SKIPPED: &str = "node_skipped";

/// [`GenerationStarted`](super::GenerationStarted).
pub const GENERATION_STARTED: &str = "generation_started";
/// [`LevelStarted`](super::LevelStarted).
pub const LEVEL_STARTED: &str = "level_started";
/// [`NodeGenerationStarted`](super::NodeGenerationStarted).
pub const NODE_GENERATION_STARTED: &str = "node_generation_started";
/// [`NodeGenerationCompleted`](super::NodeGenerationCompleted).
pub const NODE_GENERATION_COMPLETED: &str = "node_generation_completed";
/// [`NodeGenerationFailed`](super::NodeGenerationFailed).
pub const NODE_GENERATION_FAILED: &str = "node_generation_failed";
/// [`LevelCompleted`](super::LevelCompleted).
pub const LEVEL_COMPLETED: &str = "level_completed";
/// [`GenerationCompleted`](super::GenerationCompleted).
pub const GENERATION_COMPLETED: &str = "generation_completed";
/// [`GenerationFailed`](super::GenerationFailed).
pub const GENERATION_FAILED: &str = "generation_failed";

/// [`RequestEnqueued`](super::RequestEnqueued).
pub const REQUEST_ENQUEUED: &str = "request_enqueued";
/// [`RequestDeduplicated`](super::RequestDeduplicated).
pub const REQUEST_DEDUPLICATED: &str = "request_deduplicated";
/// [`RequestProcessing`](super::RequestProcessing).
pub const REQUEST_PROCESSING: &str = "request_processing";
/// [`QueueStats`](super::QueueStats).
pub const QUEUE_STATS: &str = "queue_stats";

/// [`ProviderRequestSent`](super::ProviderRequestSent).
pub const PROVIDER_REQUEST_SENT: &str = "provider_request_sent";
/// [`ProviderResponseReceived`](super::ProviderResponseReceived).
pub const PROVIDER_RESPONSE_RECEIVED: &str = "provider_response_received";
/// [`ProviderRequestFailed`](super::ProviderRequestFailed).
pub const PROVIDER_REQUEST_FAILED: &str = "provider_request_failed";
/// [`ProviderRequestRetrying`](super::ProviderRequestRetrying).
pub const PROVIDER_REQUEST_RETRYING: &str = "provider_request_retrying";

/// [`ScanStarted`](super::ScanStarted).
pub const SCAN_STARTED: &str = "scan_started";
/// [`ScanProgress`](super::ScanProgress).
pub const SCAN_PROGRESS: &str = "scan_progress";
/// [`ScanCompleted`](super::ScanCompleted).
pub const SCAN_COMPLETED: &str = "scan_completed";

/// [`WatchStarted`](super::WatchStarted).
pub const WATCH_STARTED: &str = "watch_started";
/// [`FileChanged`](super::FileChanged).
pub const FILE_CHANGED: &str = "file_changed";
/// [`BatchProcessed`](super::BatchProcessed).
pub const BATCH_PROCESSED: &str = "batch_processed";
