//! The setup, and what is said where there is none.

use std::time::Duration;

use serde_json::json;
use watchpost::elasticsearch::{Connection, Kept, setup};
use watchpost::sink;

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
