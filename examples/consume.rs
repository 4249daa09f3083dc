//! Prints the current state of all processes, then each event as it comes: `cargo run --example consume`.
#![allow(clippy::print_stdout)]

use watchpost::config::Nats;
use watchpost::consumer::{Consumer, Filter, Start};

#[tokio::main]
async fn main() -> Result<(), watchpost::consumer::Error> {
    let consumer = Consumer::new(Nats::default(), "PROCESS_EVENTS");
    let mut events = consumer.subscribe(&Filter::all(), Start::Current).await?;
    loop {
        let received = events.next().await?;
        println!("{} {} {}", received.event.ts, received.event.kind, received.event.subject);
        received.ack().await;
    }
}
