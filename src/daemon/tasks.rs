//! Named tasks, each of which must run until its stage is stopped.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// When a task is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// First: what brings events in.
    Sources,
    /// When all that came in is durable: what reads the log.
    Readers,
    /// When nothing reads any more: what tells the last state of it all.
    Exports,
}

/// What a task ends with; an error is told in words.
type Ended = Result<(), String>;

/// The tasks of a daemon.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<Ended>,
    names: HashMap<Id, (String, Stage)>,
    sources: CancellationToken,
    readers: CancellationToken,
    exports: CancellationToken,
}

impl Tasks {
    /// Starts a task. It gets the token that stops its stage.
    pub(super) fn spawn<F>(
        &mut self,
        name: impl Into<String>,
        stage: Stage,
        task: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Ended> + Send + 'static,
    {
        let handle = self.set.spawn(task(self.token(stage).clone()));
        self.names.insert(handle.id(), (name.into(), stage));
    }

    /// Resolves when a task has ended that was not told to; says which and why.
    pub(super) async fn failure(&mut self) -> String {
        match self.set.join_next_with_id().await {
            Some(ended) => {
                let (name, _) = self.forget(&ended);
                describe(&name, ended).unwrap_or_else(|| format!("the task {name} has ended by itself"))
            }
            None => std::future::pending().await,
        }
    }

    /// Tells a stage to stop and waits for the last of its tasks. Says what went wrong with any task meanwhile.
    pub(super) async fn stop(&mut self, stage: Stage) -> Vec<String> {
        self.token(stage).cancel();
        let mut failures = Vec::new();
        while self.names.values().any(|(_, of)| *of == stage) {
            let Some(ended) = self.set.join_next_with_id().await else { break };
            let (name, _) = self.forget(&ended);
            failures.extend(describe(&name, ended));
        }
        failures
    }

    /// Ends what still runs, at its next await, and says what that was.
    pub(super) async fn abort(&mut self) -> Vec<String> {
        let mut names: Vec<String> = self.names.drain().map(|(_, (name, _))| name).collect();
        names.sort();
        self.set.shutdown().await;
        names
    }

    fn token(&self, stage: Stage) -> &CancellationToken {
        match stage {
            Stage::Sources => &self.sources,
            Stage::Readers => &self.readers,
            Stage::Exports => &self.exports,
        }
    }

    fn forget(&mut self, ended: &Result<(Id, Ended), JoinError>) -> (String, Stage) {
        let id = match ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        self.names.remove(&id).unwrap_or_else(|| ("unknown".into(), Stage::Readers))
    }
}

fn describe(name: &str, ended: Result<(Id, Ended), JoinError>) -> Option<String> {
    match ended {
        Ok((_, Ok(()))) => None,
        Ok((_, Err(error))) => Some(format!("the task {name} has failed: {error}")),
        Err(error) if error.is_panic() => Some(format!("the task {name} has panicked: {}", words(error))),
        Err(error) => Some(format!("the task {name} was lost: {error}")),
    }
}

/// What a panic said.
fn words(error: JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
