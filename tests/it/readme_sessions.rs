//! The programs that README shows for recording a session do what it says.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::support::daemon::path;
use super::support::server::Server;

/// The block of README that is marked so.
fn block(mark: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("README.md");
    let found = readme.split_once(&format!("```{mark}\n")).and_then(|(_, rest)| rest.split_once("```"));
    found.unwrap_or_else(|| panic!("README has no block {mark}")).0.to_owned()
}

/// Runs a block with a program, against a server.
async fn run(server: &Server, program: &str, args: &[&str], mark: &str) -> Output {
    let mut command = tokio::process::Command::new(program);
    command.args(args).arg(block(mark)).env("WATCHPOST_URL", &server.url).env("no_proxy", "*");
    let output = command.output().await.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    output
}

/// The newest session, and the types of its events.
async fn recorded(server: &Server) -> (Value, Vec<String>) {
    let (_, shown) = server.json("/api/sessions/latest").await;
    let (_, events) = server.json("/api/sessions/latest/events").await;
    let types = events.as_array().expect("events").iter().map(|event| event["type"].as_str().expect("one").into());
    (shown, types.collect())
}

#[tokio::test]
async fn the_snippet_for_curl_records_a_session() {
    let server = Server::local().await;
    let output = run(&server, "bash", &["-euo", "pipefail", "-c"], "bash session-curl").await;
    let (shown, types) = recorded(&server).await;
    assert_eq!(
        (&shown["session"]["status"], &shown["session"]["metadata"]["name"]),
        (&"completed".into(), &"nightly".into())
    );
    let nodes = ["node_generation_started", "node_generation_completed"];
    assert_eq!(types, ["session_started", "level_started", nodes[0], nodes[1], "session_ended"]);
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(printed.contains(r#"{"line":1,"seq":3}"#) && printed.contains(r#""seq":5"#), "{printed}");
    server.stop().await;
}

#[tokio::test]
async fn the_snippet_for_python_records_a_session() {
    let server = Server::local().await;
    let output = run(&server, "python3", &["-c"], "python session-python").await;
    assert_eq!(String::from_utf8(output.stdout).as_deref(), Ok("[3, 4]\ncompleted 5\n"));
    let (_, types) = recorded(&server).await;
    let node = "node_generation_completed";
    assert_eq!(types, ["session_started", "generation_started", node, node, "session_ended"]);
    server.stop().await;
}

#[tokio::test]
async fn the_first_session_is_the_one_that_is_shown() {
    let server = Server::local().await;
    let dir = tempfile::tempdir().expect("a folder");
    let script = block("sh session-build").replace("sleep 1", ":");
    std::fs::write(dir.path().join("build.sh"), script).expect("a script");
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", "watchpost sessions run -- sh build.sh"]).current_dir(dir.path());
    command.env_clear().env("PATH", path()).env("WATCHPOST_URL", &server.url).env("XDG_STATE_HOME", dir.path());
    let output = command.output().await.expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let (shown, types) = recorded(&server).await;
    assert_eq!(
        (&shown["session"]["status"], &shown["session"]["events"]),
        (&"completed".into(), &10.into()),
        "{types:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_snippet_for_a_shell_records_a_session() {
    let server = Server::local().await;
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = tokio::process::Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &block("bash session-shell")]).current_dir(dir.path());
    command.env_clear().env("PATH", path()).env("WATCHPOST_URL", &server.url).env("XDG_STATE_HOME", dir.path());
    let output = command.output().await.expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(printed.lines().count() == 3 && printed.contains("bash -eu nightly.sh"), "{printed}");
    let (shown, types) = recorded(&server).await;
    let metadata = &shown["session"]["metadata"];
    assert_eq!((&shown["session"]["status"], &metadata["name"]), (&"completed".into(), &"nightly".into()));
    let node = "node_generation_completed";
    assert_eq!(types, ["session_started", "generation_started", node, node, node, "tests_done", "session_ended"]);
    server.stop().await;
}
