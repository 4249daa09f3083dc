//! `watchpost adapter`: the daemon with one supervisor and JetStream, without a configuration file.

use std::path::PathBuf;

use super::config::load;
use super::exit::Outcome;
use super::run::{flag, serve};
use crate::config::{Base, Environment, Flag};
use crate::telemetry::Slots;

/// Watch one process-compose and publish its events to NATS JetStream, until SIGTERM or Ctrl-C.
///
/// The same as `run`, without a file: whatever an option does not set comes from the environment
/// (WATCHPOST_…, NATS_URL, PC_API_TOKEN) or is a default. `watchpost config show` prints it all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost adapter
  watchpost adapter --compose-port 8080 --nats-url nats://10.0.0.5:4222 --poll-interval 1s
  watchpost adapter --compose-socket /run/process-compose.sock --compose-token-file /etc/pc.token")]
pub(super) struct Args {
    /// The port of process-compose on this machine [default: 28081].
    #[arg(long, value_name = "PORT", conflicts_with_all = ["compose_url", "compose_socket"])]
    compose_port: Option<u16>,
    /// The URL of process-compose.
    #[arg(long, value_name = "URL", conflicts_with = "compose_socket")]
    compose_url: Option<String>,
    /// The unix socket of process-compose.
    #[arg(long, value_name = "PATH")]
    compose_socket: Option<PathBuf>,
    /// The token of process-compose; others on this machine can see it, so better: the file, or PC_API_TOKEN.
    #[arg(long, value_name = "TOKEN", conflicts_with = "compose_token_file")]
    compose_token: Option<String>,
    /// A file that holds the token of process-compose.
    #[arg(long, value_name = "FILE")]
    compose_token_file: Option<PathBuf>,
    /// The NATS server [env: NATS_URL] [default: nats://127.0.0.1:4222].
    #[arg(long, value_name = "URL")]
    nats_url: Option<String>,
    /// The time between two polls [default: 2s].
    #[arg(long, value_name = "DURATION")]
    poll_interval: Option<String>,
    /// The name of this supervisor, which stands on every event [default: main].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The store's folder [default: $XDG_STATE_HOME/watchpost].
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Where the API listens: ADDRESS:PORT, unix:PATH, or off [default: 127.0.0.1:9001].
    #[arg(long, value_name = "PLACE")]
    api: Option<String>,
}

pub(super) async fn run(args: &Args, environment: &Environment, log: &Slots) -> Outcome {
    serve(load(None, Base::Adapter, environment, &flags(args))?, environment, log).await
}

fn flags(args: &Args) -> Vec<Flag> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let port = args.compose_port.map(|port| format!("http://127.0.0.1:{port}"));
    let flags = [
        flag("--compose-port", "process_compose[].url", port),
        flag("--compose-url", "process_compose[].url", args.compose_url.clone()),
        flag("--compose-socket", "process_compose[].socket", path(&args.compose_socket)),
        flag("--compose-token", "process_compose[].token", args.compose_token.clone()),
        flag("--compose-token-file", "process_compose[].token_file", path(&args.compose_token_file)),
        flag("--poll-interval", "process_compose[].poll_interval", args.poll_interval.clone()),
        flag("--name", "process_compose[].name", args.name.clone()),
        flag("--nats-url", "jetstream.url", args.nats_url.clone()),
        flag("--store", "store.dir", path(&args.store)),
        flag("--api", "api.listen", args.api.clone()),
    ];
    flags.into_iter().flatten().collect()
}
