//! The process that puts the load on a store.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use watchpost::ingest::{self, Ingest};

use super::{Ledger, WORKERS, seq, submission};

/// What a writer is to do.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    /// What was acknowledged before it began.
    pub(crate) ledger: Ledger,
    /// So many submissions of each worker, then it ends.
    pub(crate) submissions: u64,
}

/// Puts the load on a store, each answer first written to `acks`. Ends when all is acknowledged, which closes
/// the channel on which the errors come that were met; after each the submission is sent again.
pub(crate) fn start(ingest: &Ingest, work: &Worker, acks: &Arc<File>) -> mpsc::UnboundedReceiver<ingest::Error> {
    let (errors, met) = mpsc::unbounded_channel();
    for worker in 0..WORKERS {
        let (ingest, acks, errors) = (ingest.clone(), acks.clone(), errors.clone());
        let (next, submissions) = (work.ledger.next(worker), work.submissions);
        tokio::spawn(async move {
            let mut n = next;
            for _ in 0..submissions {
                n += send(&ingest, worker, n, &acks, &errors).await;
            }
        });
    }
    met
}

/// Sends one submission until it is taken; gives how many events it had.
async fn send(
    ingest: &Ingest,
    worker: u64,
    n: u64,
    mut acks: &File,
    errors: &mpsc::UnboundedSender<ingest::Error>,
) -> u64 {
    let receipts = loop {
        match ingest.submit(submission(worker, n)).await {
            Ok(receipts) => break receipts,
            Err(error) => {
                assert!(error.is_retryable(), "worker {worker}, event {n}: {error}");
                errors.send(error).expect("somebody counts the errors");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    let repeated = receipts.iter().filter(|receipt| receipt.duplicate).count();
    assert!(repeated == 0 || repeated == receipts.len(), "a submission is stored whole or not at all");
    for (receipt, n) in receipts.iter().zip(n..) {
        assert_eq!(receipt.seq, seq(n), "the seq of worker {worker}'s event {n}");
    }
    acks.write_all(Ledger::line(worker, n, &receipts).as_bytes()).expect("the ledger is written");
    receipts.len() as u64
}
