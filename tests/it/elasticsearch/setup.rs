//! The setup, and what is said where there is none.

use std::time::Duration;

use serde_json::json;
use watchpost::elasticsearch::{Connection, Kept, setup};
use watchpost::sink;

use crate::it::support::daemon::{configure, watchpost};

use super::{Sink, of_day, prepared, resumed, stream};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn the_same_setup_again_changes_nothing_and_says_that_nothing_is_deleted_here() {
    let server = prepared().await;
    let connection = Connection::new(&server.settings()).expect("settings");
    let first = setup(&connection, 90 * DAY).await.expect("set up");
    assert_eq!(
        (first.retention_by, first.retention_days),
        (Kept::Forever, None),
        "the bare server has no policies"
    );
    let template = || server.done("GET", "/_index_template/watchpost", None);
    let before = template().await;
    assert_eq!(setup(&connection, 90 * DAY).await, Ok(first));
    assert_eq!(template().await, before);
    let mappings = &before["index_templates"][0]["index_template"]["template"]["mappings"]["properties"];
    assert_eq!(mappings["@timestamp"]["type"], "date_nanos");
}

#[tokio::test]
async fn without_a_template_nothing_is_made_and_the_sink_says_what_to_do() {
    let server = prepared().await;
    let other = json!({"index_patterns": [stream(20)], "priority": 900, "template": {}});
    server.done("PUT", "/_index_template/no_data_stream", Some(other)).await;
    let sent = resumed(server.settings()).await.send(&of_day(20, 0, 2)).await;
    server.done("DELETE", "/_index_template/no_data_stream", None).await;
    let Some(sink::Error::Misconfigured(reason)) = &sent.error else { panic!("{sent:?}") };
    assert!(sent.settled == 0 && reason.contains("watchpost elasticsearch setup"), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_sets_up_again_and_again_and_says_what_is_wrong() {
    let url = prepared().await.url();
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), "");
    let run = |args: &[&str]| {
        let output = watchpost(dir.path(), &[&["elasticsearch", "setup"], args].concat());
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    for _ in 0..2 {
        let (code, said, error) = run(&["--url", &url, "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said).expect(&error);
        assert_eq!((code, &said["retention_by"]), (Some(0), &"forever".into()), "{error}");
    }
    let (code, said, error) = run(&["--url", &url]);
    assert!(code == Some(0) && said.contains("no retention"), "{said}");
    assert!(error.contains("neither lifecycle policies nor data stream lifecycles"), "{error}");
    let (code, _, error) = run(&["--url", "http://127.0.0.1:1"]);
    assert!(code == Some(3) && error.contains("http://127.0.0.1:1"), "{error}");
    let (code, _, error) = run(&[]);
    assert!(code == Some(2) && error.contains("elasticsearch"), "{error}");
}
