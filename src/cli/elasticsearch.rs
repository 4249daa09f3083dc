//! `watchpost elasticsearch`.

use std::path::PathBuf;

use super::config::{load, path};
use super::exit::{Exit, Failure, Outcome};
use super::out::Out;
use super::run::flag;
use crate::config::{Base, Environment, Flag};
use crate::elasticsearch::{Connection, Error, Kept, Setup, setup};

/// Prepare an Elasticsearch for the documents of events.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put the index template there, and a lifecycle policy where the server has such; the same again changes
    /// nothing. Needs the permissions manage_index_templates and manage_ilm.
    #[command(after_help = "Examples:
  watchpost elasticsearch setup --config /etc/watchpost.yaml
  watchpost elasticsearch setup --url http://127.0.0.1:9200 --retention 30d")]
    Setup {
        /// The configuration that says where Elasticsearch is [env: WATCHPOST_CONFIG].
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The server: http://HOST:PORT or https://….
        #[arg(long)]
        url: Option<String>,
        /// How long documents are kept, in whole days at least [default: 90d].
        #[arg(long, value_name = "TIME")]
        retention: Option<String>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(args: &Args, environment: &Environment, out: &mut Out) -> Outcome {
    let Command::Setup { config, url, retention, json } = &args.command;
    let config = path(config.as_ref(), environment);
    let flags = [
        flag("--url", "elasticsearch.url", url.clone()),
        flag("--retention", "elasticsearch.retention", retention.clone()),
    ];
    let flags: Vec<Flag> = flags.into_iter().flatten().collect();
    let settings = load(config.as_deref(), Base::Empty, environment, &flags)?.elasticsearch;
    let settings = settings.ok_or_else(|| {
        Failure::says(Exit::Usage, "the configuration has no section `elasticsearch`: give --config FILE or --url")
    })?;
    let done = setup(&Connection::new(&settings)?, settings.retention).await?;
    match json {
        true => out.json(&done)?,
        false => print(&done, out)?,
    }
    Ok(Exit::Ok)
}

fn print(done: &Setup, out: &mut Out) -> Result<(), Failure> {
    let Setup { template, data_streams, retention_by, retention_days } = done;
    out.line(format!("index template `{template}` for {data_streams}"))?;
    let days = retention_days.unwrap_or_default();
    out.line(match retention_by {
        Kept::Ilm => format!("lifecycle policy `{template}`: a day's data stream is deleted after {days} days"),
        Kept::DataStream => format!("data stream lifecycle: documents are kept for {days} days"),
        Kept::Forever => {
            tracing::warn!("this Elasticsearch has neither lifecycle policies nor data stream lifecycles");
            "no retention: this server deletes nothing by itself".to_owned()
        }
    })?;
    Ok(())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error {
            Error::Unavailable { .. } => Exit::Unavailable,
            Error::Misconfigured { .. } | Error::TooLarge | Error::Refused { .. } => Exit::Usage,
        };
        Self::new(exit, error)
    }
}
