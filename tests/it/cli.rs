//! The commands, run as a person runs them: the real binary, its output, its exit code.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use watchpost::store::Store;

use super::support::{daemon, history};

/// A folder with a store of six events in it.
async fn six_events() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    history::six_events(&daemon::store(dir.path())).await;
    dir
}

/// A command that knows nothing of this machine but its store.
fn watchpost(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    command.args(args).env_clear().env("WATCHPOST_STORE_DIR", dir.join("store"));
    command.env("WATCHPOST_STORE_UNSAFE_FS", "true").env("WATCHPOST_API_LISTEN", "off");
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    watchpost(dir, args).output().expect("it runs")
}

/// What a command printed and how it ended, with this run's own paths taken out.
fn told(dir: &Path, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(dir, args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").replace(&*dir.to_string_lossy(), "DIR");
    let mut told = format!("$ watchpost {}\n{}", text(args.join(" ").into()), text(stdout));
    if !stderr.is_empty() {
        told.push_str(&format!("[stderr]\n{}", text(stderr)));
    }
    format!("{told}[exit {}]", status.code().expect("an exit code"))
}

#[tokio::test]
async fn events_are_listed_chosen_and_end() {
    let dir = six_events().await;
    let told = |args: &[&str]| told(dir.path(), args);
    insta::assert_snapshot!(
        [
            told(&["events", "query"]),
            told(&["events", "query", "--reverse", "--limit", "2"]),
            told(&["events", "query", "-p", "default/web", "-t", "crashed,restarted"]),
            told(&["events", "query", "--subject", "core.process.*.api.>", "--until", "2025-10-16T09:53:32Z"]),
            told(&["events", "query", "-p", "nobody"]),
            told(&["events", "query", "-t", "Crashed"]),
            told(&["events", "query", "--since", "soon"]),
        ]
        .join("\n\n")
    );
}

#[tokio::test]
async fn json_is_one_object_a_line() {
    let dir = six_events().await;
    let output = run(dir.path(), &["events", "query", "--json", "--limit", "3"]);
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    assert_eq!(lines.len(), 3);
    let id = lines[2]["id"].as_str().expect("an id");
    let shown = run(dir.path(), &["events", "show", id, "--json"]);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&shown.stdout).expect("an object"), lines[2]);
    let missing = run(dir.path(), &["events", "show", "00000000-0000-4000-8000-000000000099"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[tokio::test]
async fn a_store_is_checked_exported_imported_and_compacted() {
    let dir = six_events().await;
    let export = run(dir.path(), &["store", "export"]);
    assert!(export.status.success());
    let file = dir.path().join("export.jsonl");
    assert!(run(dir.path(), &["store", "export", &file.to_string_lossy()]).status.success());
    assert_eq!(std::fs::read(&file).expect("a file"), export.stdout);
    let other = tempfile::tempdir().expect("a folder");
    let import = told(other.path(), &["store", "import", &file.to_string_lossy()]);
    assert!(import.ends_with("6 events read\n[exit 0]"), "{import}");
    assert_eq!(run(other.path(), &["store", "export"]).stdout, export.stdout);
    assert!(run(other.path(), &["store", "compact"]).status.success());
    assert_eq!(run(other.path(), &["store", "export"]).stdout, export.stdout);
    insta::assert_snapshot!(
        [
            told(other.path(), &["store", "check"]),
            told(other.path(), &["store", "check", "--json"]),
            told(dir.path(), &["store", "export", &file.to_string_lossy()]),
            told(&dir.path().join("nowhere"), &["store", "check"]),
            told(&dir.path().join("nowhere"), &["events", "query"]),
        ]
        .join("\n\n")
        .replace(&*dir.path().to_string_lossy(), "DIR")
    );
}

#[tokio::test]
async fn only_a_daemon_can_be_followed() {
    let dir = six_events().await;
    let store = dir.path().join("store").to_string_lossy().into_owned();
    for command in [&["events", "follow"][..], &["events", "query", "--follow"], &["watch", "--from", "daemon"]] {
        let told = told(dir.path(), &[command, &["--store", &store]].concat());
        assert!(told.contains("--store: this needs a daemon") && told.ends_with("[exit 2]"), "{told}");
    }
}

#[test]
fn dead_letters_and_sinks_of_a_store_without_any() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(Store::open(&daemon::store(dir.path())).expect("a store"));
    let told = |args: &[&str]| told(dir.path(), args);
    let id = "00000000-0000-4000-8000-000000000000";
    insta::assert_snapshot!(
        [
            told(&["sinks"]),
            told(&["sinks", "--json"]),
            told(&["dlq", "list", "--sink", "jetstream", "--kind", "delivery"]),
            told(&["dlq", "stats"]),
            told(&["dlq", "show", id]),
            told(&["dlq", "retry", id]),
            told(&["dlq", "retry-all", "--dry-run"]),
            told(&["dlq", "retry-all"]),
            told(&["dlq", "discard", id, "--dry-run"]),
            told(&["dlq", "list", "--kind", "other"]),
        ]
        .join("\n\n")
    );
}

#[test]
fn configurations_are_checked_and_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let (good, bad) = (dir.path().join("good.yaml"), dir.path().join("bad.yaml"));
    std::fs::write(&good, run(dir.path(), &["config", "example"]).stdout).expect("written");
    std::fs::write(&bad, "store:\n  dirr: /x\njetstream:\n  window: none\n").expect("written");
    let told = |args: &[&str]| told(dir.path(), args);
    insta::assert_snapshot!(
        [
            told(&["config", "check", &good.to_string_lossy()]),
            told(&["config", "check", &bad.to_string_lossy()]),
            told(&["config", "check", &dir.path().join("none.yaml").to_string_lossy()]),
            told(&["config", "show"]),
            told(&["run"]),
            told(&["run", "--config", &bad.to_string_lossy()]),
            told(&["adapter", "--poll-interval", "fast", "--compose-port", "1"]),
        ]
        .join("\n\n")
    );
}

#[test]
fn the_help_has_examples_and_the_exit_codes() {
    let dir = tempfile::tempdir().expect("a folder");
    insta::assert_snapshot!(told(dir.path(), &["--help"]));
    for command in
        ["run", "adapter", "events query", "store check", "store stats", "config example", "dlq retry", "sinks"]
    {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        assert!(told(dir.path(), &args).contains("Example"), "{command}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(told(dir.path(), &["completions", shell]).contains("adapter"), "{shell}");
    }
}

#[test]
fn a_folder_that_is_no_store_is_not_made_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let empty = dir.path().join("store");
    std::fs::create_dir(&empty).expect("a folder");
    for args in [&["store", "check"][..], &["events", "query"], &["store", "compact"]] {
        let told = told(dir.path(), args);
        assert!(told.contains("there is no store at DIR/store") && told.ends_with("[exit 3]"), "{told}");
    }
    let missing = dir.path().join("missing.jsonl").to_string_lossy().into_owned();
    assert!(told(dir.path(), &["store", "import", &missing]).ends_with("[exit 2]"));
    assert_eq!(std::fs::read_dir(&empty).expect("a folder").count(), 0);
}

#[test]
fn options_that_do_not_go_together_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    for args in [
        &["sinks", "--follow", "--store", "/x"][..],
        &["watch", "--url", "http://127.0.0.1:1"],
        &["watch", "--store", "/x"],
    ] {
        let output = run(dir.path(), args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains("--store") || error.contains("--url"), "{error}");
    }
}

#[tokio::test]
async fn an_empty_variable_is_as_if_it_were_not_there() {
    let dir = six_events().await;
    for name in ["WATCHPOST_URL", "WATCHPOST_CONFIG", "WATCHPOST_LOG", "WATCHPOST_TOKEN"] {
        let output = watchpost(dir.path(), &["events", "query"]).env(name, "").output().expect("it runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_error_that_nobody_can_read_is_no_panic() {
    let dir = tempfile::tempdir().expect("a folder");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let status = watchpost(dir.path(), &["store", "check"]).stderr(full).status().expect("it runs");
    assert_eq!(status.code(), Some(3));
}

#[tokio::test]
async fn a_pipe_whose_reader_is_gone_is_quiet() {
    let dir = six_events().await;
    for args in [&["events", "query"][..], &["store", "export"], &["config", "example"]] {
        let mut command = watchpost(dir.path(), args);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("it runs");
        drop(command);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}
