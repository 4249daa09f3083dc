//! Names that claim to be of OpenTelemetry's semantic conventions are held against the published ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use watchpost::otel::names::{self, Kind, Name, Source};
use watchpost::telemetry::names as own;

/// What is said of names that the conventions have given away to their GenAI part, which defines them on.
const MOVED: &str = "Deprecated: Moved to the [OpenTelemetry GenAI semantic conventions repository]";

/// The published names of a kind, `attributes` or `metrics`: those in force, and those given up.
struct Published {
    names: BTreeSet<String>,
    given_up: BTreeSet<String>,
    /// Of metrics.
    units: BTreeMap<String, String>,
}

fn folder() -> PathBuf {
    let folder = std::env::var_os("WATCHPOST_SEMCONV");
    folder.expect("WATCHPOST_SEMCONV names what scripts/semconv.sh prints: make test sets it").into()
}

/// Constants such as `SESSION_ID: Final = "session.id"`, each with what is said of it in the lines behind.
fn published(kind: &str) -> Published {
    let mut published = Published { names: BTreeSet::new(), given_up: BTreeSet::new(), units: BTreeMap::new() };
    for part in [kind.to_owned(), format!("_incubating/{kind}")] {
        let folder = folder().join(&part);
        for file in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let text = fs::read_to_string(file.expect("a file").path()).unwrap_or_default();
            text.split("\n\n").for_each(|block| take(block, &mut published));
            for made in text.split("name=").skip(1) {
                let constant = made.split(',').next().unwrap_or_default();
                let name =
                    text.split_once(&format!("{constant}: Final = \"")).and_then(|(_, rest)| rest.split_once('"'));
                let unit = made.split_once("unit=\"").and_then(|(_, rest)| rest.split_once('"'));
                published.units.extend(name.zip(unit).map(|(name, unit)| (name.0.to_owned(), unit.0.to_owned())));
            }
        }
    }
    published
}

fn take(block: &str, published: &mut Published) {
    let Some((name, about)) = block.split_once(": Final = ").and_then(|(_, rest)| rest.split_once("\n\"\"\""))
    else {
        return;
    };
    let name = name.trim_matches(|c: char| c.is_whitespace() || "()\"".contains(c)).to_owned();
    match about.contains("Deprecated: ") && !about.contains(MOVED) {
        true => published.given_up.insert(name),
        false => published.names.insert(name),
    };
}

fn of(source: Source, attributes: bool) -> impl Iterator<Item = &'static Name> {
    names::all().filter(move |name| match name.kind {
        Kind::Attribute(_) => attributes && name.source == source,
        Kind::Span | Kind::SpanEvent => false,
        _ => !attributes && name.source == source,
    })
}

#[test]
fn attributes_of_the_conventions_are_published_and_not_given_up() {
    let published = published("attributes");
    assert!(published.names.len() > 500 && !published.given_up.is_empty(), "{} names", published.names.len());
    for name in of(Source::SemConv, true) {
        assert!(!published.given_up.contains(name.name), "{} was given up", name.name);
        assert!(published.names.contains(name.name), "{} is not in the conventions", name.name);
    }
    for name in of(Source::Own, true) {
        assert!(!published.names.contains(name.name), "{} is of the conventions", name.name);
    }
}

#[test]
fn metrics_of_the_conventions_are_published_with_their_unit() {
    let published = published("metrics");
    assert!(published.names.len() > 100, "{} names", published.names.len());
    for name in of(Source::SemConv, false) {
        assert!(published.names.contains(name.name), "{} is not in the conventions", name.name);
        assert_eq!(published.units.get(name.name).map(String::as_str), Some(name.unit), "{}", name.name);
    }
    for name in of(Source::Own, false) {
        assert!(!published.names.contains(name.name), "{} is of the conventions", name.name);
    }
}

#[test]
fn watchposts_own_telemetry_has_published_names_or_its_own() {
    let (attributes, metrics) = (published("attributes"), published("metrics"));
    let ours: BTreeSet<&str> = of(Source::Own, true).map(|name| name.name).collect();
    for metric in own::METRICS {
        match metric.name.strip_prefix("watchpost.") {
            Some(_) => assert!(!metrics.names.contains(metric.name), "{}", metric.name),
            None => {
                assert_eq!(metrics.units.get(metric.name).map(String::as_str), Some(metric.unit), "{}", metric.name)
            }
        }
        for name in metric.attributes {
            let known = attributes.names.contains(*name) && !attributes.given_up.contains(*name);
            assert!(known || ours.contains(name), "{}: {name}", metric.name);
        }
    }
}
