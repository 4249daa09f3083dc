//! What a demo tells at its end.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::cli::exit::{Exit, Failure};
use crate::cli::out::Out;
use crate::config;
use crate::deliver;
use crate::event::Class;
use crate::store::{Limit, Store};

/// Processes and sessions go to a stream each.
const STREAMS: usize = 2;

/// Counts what is in the store, checks it, and tells what reached NATS.
pub(super) fn summary(store: &Store, nats_url: Option<&str>, out: &mut Out) -> Result<(), Failure> {
    let (mut kinds, mut session) = (BTreeMap::<String, u64>::new(), 0u64);
    let (mut from, end) = (store.range().start, store.range().end);
    while from < end {
        let page = store.log(from, Limit::events(1000))?;
        let Some(last) = page.last() else { break };
        from = last.offset + 1;
        for logged in &page {
            match logged.event.session.class() {
                Class::Session => session += 1,
                _ => *kinds.entry(logged.event.kind.to_string()).or_default() += 1,
            }
        }
    }
    let counts: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    out.line(format!("\n{} events: {}", kinds.values().sum::<u64>(), counts.join(", ")))?;
    out.line(format!("and {session} events of the session, which is drawn below."))?;
    let violated = store.check()?.violated;
    match violated {
        0 => out.line("The store holds every one of them, in order, without a gap: all invariants hold.")?,
        _ => return Err(Failure::says(Exit::Internal, format!("the store has {violated} violations"))),
    }
    if let Some(url) = nats_url.map(config::without_password) {
        let left = undelivered(store)?;
        out.line(match left {
            0 => format!("All that go to NATS are at {url}."),
            left => format!("{left} of them are not at {url}: no answer, or not in time."),
        })?;
    }
    Ok(())
}

/// Resolves when everything has been delivered.
pub(super) async fn delivered(store: &Store) {
    while !undelivered(store).is_ok_and(|events| events == 0) {
        sleep(Duration::from_millis(20)).await;
    }
}

/// How many events the slower of the two streams has still to confirm; all, before both have confirmed any.
fn undelivered(store: &Store) -> Result<u64, Failure> {
    let sinks = deliver::at_rest(store)?;
    let lag = sinks.iter().map(|sink| sink.lag_events).max().filter(|_| sinks.len() == STREAMS);
    Ok(lag.unwrap_or(store.range().end))
}

/// Whether a NATS server greets on the default port.
pub(super) fn nats_answers() -> bool {
    let address = ([127, 0, 0, 1], 4222).into();
    let greeting = TcpStream::connect_timeout(&address, Duration::from_millis(200)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting)?;
        Ok(greeting)
    });
    greeting.is_ok_and(|greeting| &greeting == b"INFO ")
}

pub(super) fn explore(keep: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let Some(dir) = keep else {
        out.line("\nTo explore what is left of a demo, keep its store:")?;
        out.line("  watchpost demo --keep /tmp/watchpost-demo")?;
        return Ok(());
    };
    let dir = dir.display();
    out.line(format!("\nThe store is in {dir}. To explore it:"))?;
    out.line(format!("  watchpost events query --store {dir} -t crashed"))?;
    out.line(format!("  watchpost sessions show latest --store {dir}"))?;
    out.line(format!("  watchpost events query --store {dir} -p restarts/fast --json"))?;
    out.line(format!("  watchpost store stats --store {dir}"))?;
    Ok(out.line(format!("  watchpost store check --store {dir}"))?)
}
