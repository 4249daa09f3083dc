//! Records a session: at the daemon that `WATCHPOST_URL` names, else into a store in this process, whose events it
//! prints then: `WATCHPOST_STORE_DIR=/tmp/sessions cargo run --example emit`.
#![allow(clippy::print_stdout)]

use serde_json::json;
use watchpost::config::{self, Base, Environment, Sources};
use watchpost::recorder::{End, Recorder, Start};
use watchpost::store::Limit;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let environment: Environment = std::env::vars().collect();
    let sources = Sources { base: Base::Empty, file: None, environment: &environment, flags: &[] };
    let (settings, _) = config::load(&sources)?;
    let recorder = match environment.get("WATCHPOST_URL") {
        Some(url) => Recorder::connect(url, None)?,
        None => Recorder::open(settings.store, settings.session).await?,
    };
    let session = recorder.start(Start::new(&json!({ "command": "generate", "args": ["--all"] }))?).await?;
    let nodes = ["parser", "printer", "driver"];
    session.emit("generation_started", &json!({ "total_nodes": nodes.len(), "total_levels": 1 })).await?;
    session.emit("level_started", &json!({ "level_index": 0, "total_count": nodes.len() })).await?;
    for node in nodes {
        session.emit("node_generation_started", &json!({ "level_index": 0, "node_id": node })).await?;
        session.emit("node_generation_completed", &json!({ "level_index": 0, "node_id": node })).await?;
    }
    session.emit("level_completed", &json!({ "level_index": 0, "generated_count": nodes.len() })).await?;
    let report = session.flush().await?;
    println!("{}: {} events are durable, {} were refused", session.id(), report.taken, report.missed);
    let id = session.id().clone();
    session.end(End::completed()).await?;
    if let Some(store) = recorder.store() {
        for logged in store.stream(&id, 1, Limit::events(100))? {
            println!("{} {} {}", logged.event.seq, logged.event.kind, logged.event.data.get());
        }
    }
    Ok(recorder.close().await?)
}
