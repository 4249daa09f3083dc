//! What an event of a session says, for people. Pure.

use crate::cli::amount::{count, things, took};
use crate::event::Event;
use crate::event::session::{self as payload, Text, kind, read};

/// The most characters of the payload of a type that is not known.
const UNKNOWN: usize = 200;

/// The icon of a type of the catalog, and the code of its colour.
pub(super) fn icon(kind: &str) -> Option<(char, &'static str)> {
    Some(match kind {
        kind::SESSION_STARTED | kind::GENERATION_STARTED | kind::LEVEL_STARTED => ('▶', "32"),
        kind::LEVEL_COMPLETED | kind::GENERATION_COMPLETED | kind::SCAN_COMPLETED => ('■', "32"),
        kind::NODE_GENERATION_COMPLETED | kind::PROVIDER_RESPONSE_RECEIVED | kind::DESCENDANT_CHECK_PASSED => {
            ('✔', "32")
        }
        kind::NODE_GENERATION_FAILED | kind::GENERATION_FAILED | kind::PROVIDER_REQUEST_FAILED => ('✖', "31"),
        kind::INGEST_FAILED => ('✖', "31"),
        kind::PROVIDER_REQUEST_RETRYING | kind::SESSION_RESUMED => ('↻', "36"),
        kind::SESSION_INTERRUPTED | kind::DESCENDANT_CHECK_FAILED => ('!', "33"),
        kind::NODE_SKIPPED | kind::REQUEST_DEDUPLICATED => ('–', "90"),
        kind::QUEUE_STATS | kind::SCAN_PROGRESS => ('·', "90"),
        _ => return None,
    })
}

/// Which session an event is of, in short: of a UUIDv7 as much as tells sessions of different milliseconds apart.
pub(in crate::cli) fn short(session: &str) -> &str {
    let uuid = uuid::Uuid::try_parse(session).is_ok_and(|id| id.get_version_num() == 7);
    if uuid { session.get(..13).unwrap_or(session) } else { session }
}

/// What happened.
pub(super) fn text(event: &Event) -> String {
    told(event.kind.as_str(), event.data.get())
}

fn told(kind: &str, data: &str) -> String {
    let known = lifecycle(kind, data).or_else(|| plan(kind, data)).or_else(|| level(kind, data));
    let known = known.or_else(|| request(kind, data)).or_else(|| files(kind, data));
    known.unwrap_or_else(|| unknown(kind, data))
}

fn lifecycle(kind: &str, data: &str) -> Option<String> {
    Some(match kind {
        kind::SESSION_STARTED => {
            let started: payload::SessionStarted = read(data).value;
            let command = started.command_summary.or(started.name).or(started.command);
            format!("session started{}", command.map(|command| format!(": {command}")).unwrap_or_default())
        }
        kind::SESSION_ENDED => {
            let ended: payload::SessionEnded = read(data).value;
            let closed = if ended.closed == Some(true) { ", closed by a person" } else { "" };
            let code = ended.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
            format!("session ended: {}{code}{closed}{}", or(&ended.status, "-"), because(&ended.error))
        }
        kind::SESSION_INTERRUPTED => {
            let interrupted: payload::SessionInterrupted = read(data).value;
            match interrupted.reason.as_deref() {
                Some("idle") => {
                    let idle = interrupted.idle_ms.map(|ms| format!(" for {}", ms_took(ms))).unwrap_or_default();
                    format!("session interrupted: nothing was heard of its writer{idle}")
                }
                Some("writer_gone") => "session interrupted: its writer is gone".into(),
                reason => format!("session interrupted{}", reason.map(|r| format!(": {r}")).unwrap_or_default()),
            }
        }
        kind::SESSION_RESUMED => {
            let resumed: payload::SessionResumed = read(data).value;
            let away = resumed.away_ms.map(|ms| format!(" after {}", ms_took(ms))).unwrap_or_default();
            let segment = resumed.segment.map(|segment| format!(": segment {segment}")).unwrap_or_default();
            format!("session resumed{away}{segment}")
        }
        kind::INGEST_FAILED => {
            let failed: payload::IngestFailed = read(data).value;
            let long = failed.failing_ms.map(|ms| format!(" for {}", ms_took(ms))).unwrap_or_default();
            format!("no event could be committed{long}{}", because(&failed.error))
        }
        _ => return None,
    })
}

fn plan(kind: &str, data: &str) -> Option<String> {
    Some(match kind {
        kind::PLAN_CONSTRUCTED => {
            let plan: payload::PlanConstructed = read(data).value;
            let path = plan.path.map(|path| format!(" of {path}")).unwrap_or_default();
            format!("plan {}{path}{}", or(&plan.plan_id, "-"), extent(plan.total_nodes, plan.total_levels))
        }
        kind::DESCENDANT_CHECK_STARTED | kind::DESCENDANT_CHECK_PASSED => {
            let check: payload::DescendantCheckStarted = read(data).value;
            let passed = kind == kind::DESCENDANT_CHECK_PASSED;
            let what = if passed { "nothing is missing below it" } else { "what is below it is checked" };
            format!("{}: {what}", node(&check.path, &check.node_id))
        }
        kind::DESCENDANT_CHECK_FAILED => {
            let check: payload::DescendantCheckFailed = read(data).value;
            let missing = check.missing.map(|missing| list(&missing)).unwrap_or_default();
            format!("{}: missing below it{missing}", node(&check.path, &check.node_id))
        }
        kind::NODE_SKIPPED => {
            let skipped: payload::NodeSkipped = read(data).value;
            format!("{} skipped{}", node(&skipped.path, &skipped.node_id), because(&skipped.reason))
        }
        _ => return None,
    })
}

fn level(kind: &str, data: &str) -> Option<String> {
    Some(match kind {
        kind::GENERATION_STARTED => {
            let started: payload::GenerationStarted = read(data).value;
            let extent = extent(started.total_nodes, started.total_levels);
            format!("generation of plan {} started{extent}", or(&started.plan_id, "-"))
        }
        kind::LEVEL_STARTED => {
            let started: payload::LevelStarted = read(data).value;
            let nodes = started.total_count.map(|count| format!(": {}", things(count, "node")));
            format!("level {} started{}", number(started.level_index), nodes.unwrap_or_default())
        }
        kind::LEVEL_COMPLETED => {
            let level: payload::LevelCompleted = read(data).value;
            let counts = counts(level.generated_count, level.failed_count, level.total_count);
            format!("level {} completed{counts}", number(level.level_index))
        }
        kind::GENERATION_COMPLETED => {
            let plan: payload::GenerationCompleted = read(data).value;
            let counts = counts(plan.generated_count, plan.failed_count, plan.total_count);
            format!("generation of plan {} completed{counts}", or(&plan.plan_id, "-"))
        }
        kind::GENERATION_FAILED => {
            let failed: payload::GenerationFailed = read(data).value;
            format!("generation of plan {} failed{}", or(&failed.plan_id, "-"), because(&failed.error))
        }
        kind::NODE_GENERATION_STARTED => {
            let started: payload::NodeGenerationStarted = read(data).value;
            format!("{} started", node(&started.path, &started.node_id))
        }
        kind::NODE_GENERATION_COMPLETED => {
            let done: payload::NodeGenerationCompleted = read(data).value;
            let took = done.duration_ms.map(|ms| format!(" in {}", ms_took(ms))).unwrap_or_default();
            format!("{} generated{took}", node(&done.path, &done.node_id))
        }
        kind::NODE_GENERATION_FAILED => {
            let failed: payload::NodeGenerationFailed = read(data).value;
            let error = failed.error.or(failed.error_type);
            format!("{} failed{}", node(&failed.path, &failed.node_id), because(&error))
        }
        _ => return None,
    })
}

fn request(kind: &str, data: &str) -> Option<String> {
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

fn files(kind: &str, data: &str) -> Option<String> {
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

fn unknown(kind: &str, data: &str) -> String {
    let mut head: String = data.chars().take(UNKNOWN).collect();
    if head.len() < data.len() {
        head.push('…');
    }
    format!("{kind} {head}")
}

fn or<'a>(text: &'a Option<Text<'_>>, other: &'a str) -> &'a str {
    text.as_deref().unwrap_or(other)
}

fn node<'a>(path: &'a Option<Text<'_>>, id: &'a Option<Text<'_>>) -> &'a str {
    path.as_deref().or(id.as_deref()).unwrap_or("a node")
}

fn because(why: &Option<Text<'_>>) -> String {
    why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
}

fn list(names: &[Text<'_>]) -> String {
    format!(": {}", names.iter().map(Text::as_str).collect::<Vec<_>>().join(", "))
}

fn number(n: Option<u64>) -> String {
    n.map_or_else(|| "-".into(), count)
}

fn ms_took(ms: u64) -> String {
    took(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn extent(nodes: Option<u64>, levels: Option<u64>) -> String {
    match (nodes, levels) {
        (Some(nodes), Some(levels)) => format!(": {} in {}", things(nodes, "node"), things(levels, "level")),
        (Some(nodes), None) => format!(": {}", things(nodes, "node")),
        (None, Some(levels)) => format!(": {}", things(levels, "level")),
        (None, None) => String::new(),
    }
}

fn counts(generated: Option<u64>, failed: Option<u64>, total: Option<u64>) -> String {
    let failed = failed.filter(|failed| *failed > 0).map(|failed| format!(", {} failed", count(failed)));
    match generated {
        Some(generated) => {
            let of = total.map(|total| format!(" of {}", count(total))).unwrap_or_default();
            format!(": {}{of} generated{}", count(generated), failed.unwrap_or_default())
        }
        None => failed.unwrap_or_default(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Workload;
    use crate::event::session::types;

    #[test]
    fn each_type_of_the_catalog_says_what_happened() {
        let lines = types().iter().map(|kind| format!("{}: {}\n", kind.name, told(kind.name, kind.example)));
        insta::assert_snapshot!(lines.collect::<String>());
        for kind in types() {
            assert!(!told(kind.name, "{}").starts_with(kind.name), "{}", kind.name);
        }
    }

    #[test]
    fn a_session_reads_as_a_story() {
        let mut kinds = std::collections::BTreeSet::new();
        let steps = Workload::default().steps().filter(|step| kinds.insert(step.kind));
        insta::assert_snapshot!(steps.map(|step| told(step.kind, &step.data) + "\n").collect::<String>());
    }

    #[test]
    fn an_unknown_type_is_told_with_its_payload_and_no_wrong_field_spoils_a_line() {
        assert_eq!(told("lunch", r#"{"at":12}"#), r#"lunch {"at":12}"#);
        assert_eq!(told("lunch", &"é".repeat(300)).chars().count(), "lunch ".len() + UNKNOWN + 1);
        let wrong = r#"{"path":7,"node_id":"n-1","error":"lost"}"#;
        assert_eq!(told(kind::NODE_GENERATION_FAILED, wrong), "n-1 failed: lost");
    }
}
