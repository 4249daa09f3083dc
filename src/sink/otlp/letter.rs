//! Dead letters: what was refused, and what is sent again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::flight::Flight;
use super::{Answer, CALL, Channel, Fail, Mapping};
use crate::otel::Resource;
use crate::sink::{Again, MAX_SENT, Refused, Sent};

/// So many of an event's spans are named; the others are counted.
const NAMED: usize = 8;

/// A record that was refused: what is observed, the record, and why.
pub(super) type Item<'a> = (&'a Resource, &'a [u8], &'a str);

/// The letter of an event, of which these records were refused.
pub(super) fn refused<M: Mapping>(index: usize, items: &[Item<'_>]) -> Refused {
    let mut request = Vec::new();
    M::request(items.iter().map(|(resource, bytes, _)| (*resource, *bytes)), &mut request);
    let sent = (request.len() <= MAX_SENT / 4 * 3).then(|| STANDARD.encode(&request));
    Refused { index, reason: reason::<M>(items), sent }
}

fn reason<M: Mapping>(items: &[Item<'_>]) -> String {
    let reason = |(resource, bytes, reason): &Item<'_>| {
        let mut request = Vec::new();
        M::request([(*resource, *bytes)].into_iter(), &mut request);
        match M::name(&request) {
            Some(name) => format!("{name}: {reason}"),
            None => (*reason).to_owned(),
        }
    };
    let mut reasons: Vec<String> = items.iter().take(NAMED).map(reason).collect();
    if items.len() > NAMED {
        reasons.push(format!("and {} more", items.len() - NAMED));
    }
    reasons.join("; ")
}

/// Sends letters again, each in a request of its own.
pub(super) async fn send_again<M: Mapping>(channel: &Channel, window: usize, letters: &[Again]) -> Sent {
    let mut flight = Flight::new(channel, window, CALL);
    // What became of each: nothing yet, taken, or refused again.
    let mut fates: Vec<Option<Result<(), String>>> = vec![None; letters.len()];
    let mut next = 0;
    let error = loop {
        while flight.has_room() && next < letters.len() {
            match request::<M>(&letters[next]) {
                Ok(request) => flight.start(next, request),
                Err(reason) => fates[next] = Some(Err(reason)),
            }
            next += 1;
        }
        match flight.landed().await {
            None => break None,
            Some(Err(error)) => break Some(error),
            Some(Ok((index, Ok(Answer { rejected: 0, .. })))) => fates[index] = Some(Ok(())),
            Some(Ok((
                index,
                Ok(Answer { message, .. }) | Err(Fail::Refused(message) | Fail::TooLarge(message)),
            ))) => {
                fates[index] = Some(Err(message));
            }
            Some(Ok((_, Err(fail)))) => flight.failed(fail),
        }
    };
    let settled = fates.iter().take_while(|fate| fate.is_some()).count();
    let refused = fates.into_iter().take(settled).enumerate().filter_map(|(index, fate)| {
        // The letter keeps what was sent.
        fate?.err().map(|reason| Refused { index, reason, sent: None })
    });
    Sent { settled, refused: refused.collect(), mark: Value::Null, error }
}

fn request<M: Mapping>(letter: &Again) -> Result<Bytes, String> {
    let Some(sent) = &letter.sent else {
        let alone = M::alone(&letter.logged);
        return alone
            .map(Bytes::from)
            .ok_or_else(|| "it was too large to be kept, so it cannot be sent again".into());
    };
    STANDARD.decode(sent).map(Bytes::from).map_err(|error| format!("what was sent cannot be read: {error}"))
}
