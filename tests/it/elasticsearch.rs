//! The direct way to Elasticsearch, on a real server.

use crate::it::support::elasticsearch::shared;

#[tokio::test]
async fn the_server_is_there() {
    let (status, health) = shared().ask("GET", "/_cluster/health", None).await;
    assert_eq!((status, &health["cluster_name"]), (200, &"test".into()));
}
