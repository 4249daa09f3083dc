//! Bulk requests: several in flight, each document's fate noted as soon as it is known.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::document::{Document, Fate};
use crate::elasticsearch::{self, Connection};
use crate::sink::Error;

/// A request takes no less time than this, so none begins when less is left.
const SHORTEST: Duration = Duration::from_secs(1);

/// One call's requests.
pub(super) struct Flight<'a> {
    pub(super) connection: &'a Connection,
    /// When the call has to end.
    pub(super) until: Instant,
    pub(super) window: usize,
    pub(super) most_documents: usize,
    /// Made smaller where the server takes less.
    pub(super) most_bytes: usize,
}

/// The places of the documents in a request, and what was answered to it.
type Done = (Vec<usize>, Result<Bytes, elasticsearch::Error>);

impl Flight<'_> {
    /// Sends those that have no fate until all have one, the time is up, or something is held off; what is in
    /// flight then is waited for.
    pub(super) async fn run(&mut self, documents: &mut [Document]) -> Result<(), Error> {
        let mut open: Vec<usize> = (0..documents.len()).filter(|&at| documents[at].fate.is_none()).collect();
        open.reverse();
        let mut flying = FuturesUnordered::new();
        let mut held_off = None;
        loop {
            while held_off.is_none() && flying.len() < self.window && self.until > Instant::now() + SHORTEST {
                let Some(request) = self.cut(documents, &mut open) else { break };
                flying.push(self.request(documents, request));
            }
            let Some((places, answer)) = flying.next().await else { break };
            match self.note(documents, &places, answer, &mut open) {
                Ok(()) => {}
                // The first thing said is the one that is told.
                Err(error) => held_off = held_off.or(Some(error)),
            }
        }
        match held_off {
            Some(error) => Err(error),
            None if documents.first().is_some_and(|document| document.fate.is_none()) => {
                Err(Error::Retryable("Elasticsearch answers too slowly".into()))
            }
            None => Ok(()),
        }
    }

    /// Takes the next documents of one request; at least one, whatever its size.
    fn cut(&self, documents: &[Document], open: &mut Vec<usize>) -> Option<Vec<usize>> {
        let mut places = Vec::new();
        let mut bytes = 0;
        while let Some(&place) = open.last() {
            bytes += documents[place].lines.len();
            if places.len() == self.most_documents || (bytes > self.most_bytes && !places.is_empty()) {
                break;
            }
            places.push(place);
            open.pop();
        }
        (!places.is_empty()).then_some(places)
    }

    /// Owns all that it needs, so that fates can be noted while it flies.
    fn request(&self, documents: &[Document], places: Vec<usize>) -> impl Future<Output = Done> + use<> {
        let mut lines = BytesMut::with_capacity(places.iter().map(|&place| documents[place].lines.len()).sum());
        places.iter().for_each(|&place| lines.extend_from_slice(&documents[place].lines));
        let (connection, left) = (self.connection.clone(), self.until.saturating_duration_since(Instant::now()));
        async move {
            let answer = connection.bulk(lines.freeze(), left).await;
            (places, answer)
        }
    }

    /// Notes what one request came to.
    fn note(
        &mut self,
        documents: &mut [Document],
        places: &[usize],
        answer: Result<Bytes, elasticsearch::Error>,
        open: &mut Vec<usize>,
    ) -> Result<(), Error> {
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(elasticsearch::Error::TooLarge) => {
                self.too_large(documents, places, open);
                return Ok(());
            }
            Err(error) => return Err(answer::whole(error)),
        };
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| not_understood(&error.to_string()))?;
        if answer.items.len() != places.len() {
            return Err(not_understood(&format!("{} items for {} documents", answer.items.len(), places.len())));
        }
        let mut held_off = Ok(());
        for (&place, item) in places.iter().zip(&answer.items) {
            let Some(item) = item.values().next() else { return Err(not_understood("an item without an action")) };
            match answer::item(item, self.connection.credential()) {
                Ok(fate) => documents[place].fate = Some(fate),
                Err(error) => held_off = held_off.and(Err(error)),
            }
        }
        held_off
    }

    /// A request that is too large is cut in two from now on; one document alone is refused.
    fn too_large(&mut self, documents: &mut [Document], places: &[usize], open: &mut Vec<usize>) {
        if let [only] = places {
            documents[*only].fate = Some(Fate::Refused("413: the document is larger than the server takes".into()));
            return;
        }
        let bytes: usize = places.iter().map(|&place| documents[place].lines.len()).sum();
        self.most_bytes = self.most_bytes.min(bytes / 2);
        open.extend(places.iter().rev());
    }
}

fn not_understood(what: &str) -> Error {
    Error::Misconfigured(format!("this is not what Elasticsearch answers to a bulk request: {what}"))
}
