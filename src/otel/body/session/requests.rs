//! What events of the queue, of providers and of files say. Pure.

use super::{because, ms_took, node, number, or};
use crate::event::session::{self as payload, Text, kind, read};
use crate::otel::body::amount::{count, things, took};

/// The queue, and calls of providers.
pub(super) fn request(kind: &str, data: &str) -> Option<String> {
    Some(match kind {
        kind::REQUEST_ENQUEUED => {
            let request: payload::RequestEnqueued = read(data).value;
            let node = node(&request.path, &request.node_id);
            format!("request {} of {node} waits in the queue", or(&request.request_id, "-"))
        }
        kind::REQUEST_DEDUPLICATED => {
            let request: payload::RequestDeduplicated = read(data).value;
            let original = or(&request.original_request_id, "another one");
            format!("request {} gets the answer to {original}", or(&request.request_id, "-"))
        }
        kind::REQUEST_PROCESSING => {
            let request: payload::RequestProcessing = read(data).value;
            let waited = request.wait_ms.map(|ms| format!(" after {}", ms_took(ms))).unwrap_or_default();
            format!("request {} taken from the queue{waited}", or(&request.request_id, "-"))
        }
        kind::QUEUE_STATS => {
            let stats: payload::QueueStats = read(data).value;
            let known = |n: Option<u64>, what: &str| n.map(|n| format!("{} {what}", count(n)));
            let counts = [
                known(stats.pending, "waiting"),
                known(stats.processing, "under way"),
                known(stats.completed, "done"),
                known(stats.failed, "failed"),
            ];
            format!("queue: {}", counts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        kind::PROVIDER_REQUEST_SENT => {
            let sent: payload::ProviderRequestSent = read(data).value;
            format!("{} asked{}", called(&sent.provider, &sent.model), about(&sent.request_id, sent.attempt))
        }
        kind::PROVIDER_RESPONSE_RECEIVED => {
            let answer: payload::ProviderResponseReceived = read(data).value;
            let took = answer.duration_ms.map(|ms| format!(" in {}", ms_took(ms))).unwrap_or_default();
            let tokens = match (answer.input_tokens, answer.output_tokens) {
                (None, None) => String::new(),
                (read, written) => format!(", {} + {} tokens", number(read), number(written)),
            };
            let about = about(&answer.request_id, answer.attempt);
            format!("{} answered{about}{took}{tokens}", called(&answer.provider, &answer.model))
        }
        kind::PROVIDER_REQUEST_FAILED => {
            let failed: payload::ProviderRequestFailed = read(data).value;
            let error = failed.error.or(failed.error_type);
            let about = about(&failed.request_id, failed.attempt);
            format!("{} failed{about}{}", called(&failed.provider, &failed.model), because(&error))
        }
        kind::PROVIDER_REQUEST_RETRYING => {
            let retry: payload::ProviderRequestRetrying = read(data).value;
            let wait = retry.retry_after.map(|seconds| format!(" in {}", took((seconds * 1000.0) as i64)));
            let about = about(&retry.request_id, retry.attempt);
            let why = because(&retry.error_type);
            format!("{} asked again{}{about}{why}", called(&retry.provider, &retry.model), wait.unwrap_or_default())
        }
        _ => return None,
    })
}

/// Scans, and files that change.
pub(super) fn files(kind: &str, data: &str) -> Option<String> {
    Some(match kind {
        kind::SCAN_STARTED => {
            let scan: payload::ScanStarted = read(data).value;
            format!("scan of {} started", or(&scan.path, "-"))
        }
        kind::SCAN_PROGRESS => {
            let scan: payload::ScanProgress = read(data).value;
            format!("scan: {} of {} nodes", number(scan.node_count), number(scan.total_nodes))
        }
        kind::SCAN_COMPLETED => {
            let scan: payload::ScanCompleted = read(data).value;
            let took = scan.duration_ms.map(|ms| format!(" in {}", ms_took(ms))).unwrap_or_default();
            let nodes = scan.node_count.map(|count| format!(": {}", things(count, "node"))).unwrap_or_default();
            format!("scan completed{nodes}{took}")
        }
        kind::WATCH_STARTED => {
            let watch: payload::WatchStarted = read(data).value;
            format!("{} is watched", or(&watch.path, "-"))
        }
        kind::FILE_CHANGED => {
            let change: payload::FileChanged = read(data).value;
            format!("{} {}", or(&change.path, "a file"), or(&change.kind, "changed"))
        }
        kind::BATCH_PROCESSED => {
            let batch: payload::BatchProcessed = read(data).value;
            let of = |n: Option<u64>, thing| n.map_or_else(|| format!("- {thing}s"), |n| things(n, thing));
            format!("{} processed, {} affected", of(batch.event_count, "change"), of(batch.affected_nodes, "node"))
        }
        _ => return None,
    })
}

/// Who was asked: `provider/model`.
fn called(provider: &Option<Text<'_>>, model: &Option<Text<'_>>) -> String {
    match (provider, model) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        (Some(name), None) | (None, Some(name)) => name.to_string(),
        (None, None) => "provider".into(),
    }
}

/// Which request, and which attempt where it is not the first.
fn about(request: &Option<Text<'_>>, attempt: Option<u64>) -> String {
    let request = request.as_ref().map(|request| format!(" for {request}")).unwrap_or_default();
    let attempt = attempt.filter(|attempt| *attempt > 1).map(|attempt| format!(", attempt {attempt}"));
    request + &attempt.unwrap_or_default()
}
