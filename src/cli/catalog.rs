//! `watchpost catalog`.

use std::io;

use clap::builder::PossibleValuesParser;
use serde::Serialize;
use serde_json::value::RawValue;

use super::exit::{Exit, Outcome};
use super::out::{Out, table};
use crate::event::Severity;
use crate::event::session::{Field, Group, Type, fields, find, schema, types};
use crate::otel::reference;

/// Print the types of session events: fields, an example, severity, and the telemetry they become.
///
/// The catalog is open: other types and other fields are taken as well, and pass through untouched.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchpost catalog
  watchpost catalog node_generation_failed
  watchpost catalog --json | jq -r '[.type, .severity] | @tsv'
  watchpost catalog provider_response_received --schema > schema.json
  watchpost catalog --telemetry > TELEMETRY.md")]
pub(super) struct Args {
    /// One type; without it, all of them.
    #[arg(value_name = "TYPE", value_parser = PossibleValuesParser::new(types().iter().map(|known| known.name)))]
    #[arg(hide_possible_values = true)]
    kind: Option<String>,
    /// One JSON object a line.
    #[arg(long, conflicts_with = "schema")]
    json: bool,
    /// The JSON Schema (2020-12) of the payload, one a line.
    #[arg(long)]
    schema: bool,
    /// What events of every kind are as logs, spans and metrics, with every name, in Markdown.
    #[arg(long, conflicts_with_all = ["kind", "json", "schema"])]
    telemetry: bool,
}

pub(super) fn run(args: &Args, out: &mut Out) -> Outcome {
    if args.telemetry {
        out.line(reference::markdown().trim_end())?;
        return Ok(Exit::Ok);
    }
    let chosen = match &args.kind {
        Some(kind) => find(kind).map_or(&[][..], std::slice::from_ref),
        None => types(),
    };
    let mut group = None;
    for known in chosen {
        match (args.schema, args.json) {
            (true, _) => out.json(&schema(known))?,
            (_, true) => out.json(&Row::of(known))?,
            _ => {
                if group.replace(known.group) != Some(known.group) && args.kind.is_none() {
                    out.line(format!("# {}\n", known.group.title()))?;
                }
                print(known, out)?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// A type as JSON.
#[derive(Serialize)]
struct Row {
    r#type: &'static str,
    group: Group,
    severity: &'static Severity,
    about: &'static str,
    fields: Vec<Field>,
    example: Option<&'static RawValue>,
    telemetry: &'static str,
}

impl Row {
    fn of(known: &'static Type) -> Self {
        Self {
            r#type: known.name,
            group: known.group,
            severity: &known.severity,
            about: known.about,
            fields: fields(known),
            example: serde_json::from_str(known.example).ok(),
            telemetry: known.telemetry,
        }
    }
}

/// A type for people: its name, what it says, its fields, and the rest.
fn print(known: &Type, out: &mut Out) -> io::Result<()> {
    out.line(format!("{} ({})", known.name, known.severity))?;
    out.line(format!("  {}", known.about))?;
    let rows: Vec<Vec<String>> =
        fields(known).into_iter().map(|field| vec![field.name, field.form, field.about]).collect();
    for line in table(&["FIELD", "TYPE", "WHAT IT SAYS"], &rows) {
        out.line(format!("    {line}"))?;
    }
    out.line(format!("  telemetry: {}", known.telemetry))?;
    out.line(format!("  example:   {}\n", known.example))
}
