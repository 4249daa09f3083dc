//! Documents do not fit the mapping that they meet, and the daemon is killed while they are refused.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use watchpost::elasticsearch::{PATTERN, template};
use watchpost::otel::document::data_stream;
use watchpost::otel::logs;
use watchpost::otel::names::REQUEST_ID;

use super::super::support::collector::Backends;
use super::super::support::wait::until;
use super::killed::letters;
use super::log::folded;
use super::world::World;

/// Few at a time, so that a delivery takes long enough to be killed in.
const FEW: &str = "batch_documents: 2, window: 1";

impl World {
    /// Puts a template over ours by which the id of a request is a number, which it is not.
    async fn conflict(&self) {
        let mut wrong = template(None);
        wrong["priority"] = 900.into();
        wrong["template"]["mappings"]["properties"]["attributes"]["properties"][REQUEST_ID] =
            json!({"type": "long", "ignore_malformed": false});
        self.server.done("PUT", "/_index_template/wrong", Some(wrong)).await;
    }

    /// Takes it away; what comes from then on goes to new indices of the right mapping.
    async fn mend(&self, dir: &Path) {
        self.server.done("DELETE", "/_index_template/wrong", None).await;
        let streams: BTreeSet<_> =
            folded(dir).events.iter().map(|(logged, _)| data_stream(&logged.event)).collect();
        for stream in streams {
            self.server.done("POST", &format!("/{stream}/_rollover"), None).await;
        }
    }

    /// Waits until there are more documents than before.
    async fn sends(&self) {
        let count = async || self.server.documents(PATTERN).await.len();
        let before = count().await;
        until("more documents", async || (count().await > before).then_some(())).await;
    }

    /// Waits until there are more letters than before, or fewer: others of the same answer are still to be written,
    /// or taken away.
    async fn changes_letters(&self) {
        let before = self.daemon.letters().await;
        until("other letters", async || (self.daemon.letters().await != before).then_some(())).await;
    }

    /// Each event of the log is one document or one letter, by whether it is of a request.
    async fn check_refused(&self, dir: &Path) {
        let events = folded(dir).events;
        let (mut fit, mut unfit) = (BTreeSet::new(), BTreeSet::new());
        for (logged, context) in &events {
            let record = logs::record(logged, context);
            let of_request = record.attributes.iter().any(|(name, _)| name == REQUEST_ID);
            if of_request { &mut unfit } else { &mut fit }.insert(logged.event.id.to_string());
        }
        assert!(!fit.is_empty() && !unfit.is_empty());
        let documents = self.server.documents(PATTERN).await.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(documents, fit.into_iter().collect::<Vec<_>>(), "each once, in the order of ids");
        let mut given_up = Vec::new();
        for letter in letters(dir) {
            let reason = letter["reason"].as_str().expect("a reason");
            assert!(
                reason.starts_with("400 document_parsing_exception: ") && reason.contains(REQUEST_ID),
                "{reason}"
            );
            assert_eq!(letter["sink"], "elasticsearch");
            given_up.push(letter["event"]["id"].as_str().expect("an id").to_owned());
        }
        given_up.sort();
        assert_eq!(given_up, unfit.into_iter().collect::<Vec<_>>(), "one letter an event");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_a_document_or_one_letter_and_a_document_once_mended_when_the_daemon_is_killed_meanwhile() {
    let mut world = World::with(Backends::default(), "", FEW).await;
    world.conflict().await;
    for _ in 0..3 {
        world.daemon.large_session().await;
        world.sends().await;
        world.daemon.behind(&["elasticsearch"]).await;
        world.daemon.kill().await;
        world.changes_letters().await;
        world.daemon.kill().await;
    }
    world.daemon.behind(&[]).await;
    // Ended in order, so that nothing is sent a second time, to the new index.
    let dir = world.daemon.drain().await;
    world.check_refused(dir.path()).await;

    world.mend(dir.path()).await;
    world.daemon.launch(dir).await;
    world.daemon.run(&["dlq", "retry-all", "--sink", "elasticsearch"]).await.expect("they are asked for");
    world.sends().await;
    world.daemon.kill().await;
    world.changes_letters().await;
    world.daemon.kill().await;
    until("no more letters", async || (world.daemon.letters().await == 0).then_some(())).await;
    world.daemon.session().await;
    world.daemon.behind(&[]).await;
    let dir = world.daemon.drain().await;
    world.check(dir.path(), &world.collector).await;
}
