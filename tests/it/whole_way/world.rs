//! Every server that is delivered to, and a daemon before them that is killed.

use std::path::Path;

use serde_json::Value;

use super::super::support::collector::{Backends, Collector};
use super::super::support::elasticsearch::Server;
use super::super::support::prometheus::Prometheus;
use super::killed::{Killed, letters};
use super::log::folded;
use super::{check, configuration, template};

pub(super) struct World {
    pub(super) collector: Collector,
    pub(super) server: Server,
    pub(super) prometheus: Prometheus,
    pub(super) daemon: Killed,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with(Backends::default(), "", "").await
    }

    /// One whose Collector has these backends beside Prometheus, with more in the daemon's settings of OTLP and of
    /// Elasticsearch.
    pub(super) async fn with(backends: Backends, otlp: &str, elasticsearch: &str) -> Self {
        let server = tokio::task::spawn_blocking(Server::start).await.expect("a server");
        template(&server).await;
        let prometheus = Prometheus::start();
        let collector = Collector::with(Backends { prometheus: Some(prometheus.url()), ..backends });
        let daemon = Killed::start(configuration(&collector, &server, otlp, elasticsearch)).await;
        Self { collector, server, prometheus, daemon }
    }

    /// Holds everything against the log of a daemon that has ended. Spans are where that Collector writes them.
    pub(super) async fn check(&self, dir: &Path, spans: &Collector) {
        check(folded(dir), [&self.collector, spans], &self.server, &self.prometheus, false).await;
        assert_eq!(letters(dir), [] as [Value; 0], "no event was given up");
    }
}
