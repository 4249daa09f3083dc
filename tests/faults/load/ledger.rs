//! What was acknowledged.

use std::collections::BTreeMap;

use watchpost::event::Offset;
use watchpost::store::Receipt;

/// For each worker, the offsets of its acknowledged events 0, 1, 2…
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ledger(BTreeMap<u64, Vec<Offset>>);

impl Ledger {
    /// One line for the receipts of a worker's submission that began with its event `n`.
    pub(super) fn line(worker: u64, n: u64, receipts: &[Receipt]) -> String {
        let offsets: Vec<String> = receipts.iter().map(|receipt| receipt.offset.to_string()).collect();
        format!("{worker} {n} {}\n", offsets.join(" "))
    }

    /// Takes whole lines; a last one that was cut off was not acknowledged.
    pub(crate) fn read(&mut self, text: &str) {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let mut numbers = line.split(' ').map(|word| word.parse::<u64>().expect("a number"));
            let (worker, n) = (numbers.next().expect("a worker"), numbers.next().expect("a count"));
            let offsets = self.0.entry(worker).or_default();
            assert_eq!(offsets.len() as u64, n, "worker {worker} goes on where it was");
            offsets.extend(numbers);
        }
    }

    /// The acknowledged events of a worker.
    pub(crate) fn offsets(&self, worker: u64) -> &[Offset] {
        self.0.get(&worker).map_or(&[], Vec::as_slice)
    }

    /// The number of its next event.
    pub(crate) fn next(&self, worker: u64) -> u64 {
        self.offsets(worker).len() as u64
    }

    /// How many events were acknowledged in all.
    pub(crate) fn events(&self) -> u64 {
        self.0.values().map(|offsets| offsets.len() as u64).sum()
    }
}
