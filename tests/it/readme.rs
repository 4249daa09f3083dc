//! The documents tell the truth: their commands parse, what they name is there, their configurations load.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use watchpost::api::sessions::body::MAX_BODY;
use watchpost::cli::Cli;
use watchpost::config::{self, Base, Environment, Sources};
use watchpost::source::spool::MAX_SPOOL;
use watchpost::state::session::{self, MAX_PLANS};

const DOCUMENTS: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "tests/README.md",
    "docs/vendors.md",
    "docs/collector.md",
    "docs/sizing.md",
    "docs/own-telemetry.md",
    "TELEMETRY.md",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A document taken apart.
#[derive(Default)]
struct Parts {
    /// The fenced blocks: the language and the lines.
    blocks: Vec<(String, Vec<String>)>,
    /// What stands in backticks, and the targets of links.
    named: Vec<String>,
}

fn parts(text: &str) -> Parts {
    let mut parts = Parts::default();
    let mut prose = String::new();
    let mut open = false;
    for line in text.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => parts.blocks.push((language.into(), Vec::new())),
            (Some(_), true) => {}
            (None, true) => parts.blocks.last_mut().expect("an open block").1.push(line.into()),
            (None, false) => prose.extend([line, "\n"]),
        }
        open ^= line.starts_with("```");
    }
    assert!(!open, "a block without its end");
    // A name may be broken over two lines.
    let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    parts.named = prose.split('`').skip(1).step_by(2).map(spaced).collect();
    parts.named.extend(prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to.into()));
    parts
}

/// The words of the first command of a line, without what a shell does with its output.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('|' | '<' | '>' | '&' | ';', None) => break,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    // NAME=value before a command.
    let begin = words.iter().position(|word| !word.contains('=')).unwrap_or(words.len());
    words.split_off(begin)
}

/// The commands of a document that are `program`'s: in blocks behind a `$`, and in backticks.
fn commands(parts: &Parts, program: &str) -> Vec<Vec<String>> {
    let lines = parts.blocks.iter().flat_map(|(_, lines)| lines);
    let prompted = lines.filter_map(|line| line.strip_prefix("$ ")).map(words);
    let named = parts.named.iter().map(|name| words(name));
    prompted.chain(named).filter(|words| words.first().is_some_and(|first| first == program)).collect()
}

#[test]
fn every_command_parses() {
    let mut seen = 0;
    for document in DOCUMENTS {
        for words in commands(&parts(&read(document)), "watchpost") {
            let told = words.join(" ");
            // Prose may name a group of commands; the whole of one is tried as it stands.
            let group = words[1..].iter().try_fold(Cli::command(), |at, word| at.find_subcommand(word).cloned());
            if !group.is_some_and(|command| command.has_subcommands()) {
                seen += 1;
                let tried = Cli::try_parse_from(&words);
                // Nor need it say what a command is given.
                let named = |error: &clap::Error| match error.kind() {
                    ErrorKind::MissingRequiredArgument => !words.iter().any(|word| word.starts_with('-')),
                    kind => matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion),
                };
                let fine = tried.as_ref().map_or_else(named, |_| true);
                assert!(fine, "{document}: {told}: {}", tried.expect_err("it fails"));
            }
        }
    }
    assert!(seen > 20, "{seen} commands were found");
}

#[test]
fn every_target_is_in_the_makefile() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(t, _)| t).collect();
    let mut named = BTreeSet::new();
    for document in DOCUMENTS {
        for words in commands(&parts(&read(document)), "make") {
            for target in words[1..].iter().filter(|word| !word.starts_with('-')) {
                assert!(targets.contains(target.as_str()), "{document}: make {target}");
                named.insert(target.clone());
            }
        }
    }
    for target in
        targets.iter().filter(|target| target.chars().all(|c| c.is_ascii_lowercase()) && **target != "help")
    {
        assert!(named.contains(*target), "no document tells of make {target}");
    }
}

/// Whether a name is that of a file or a folder of this repository.
fn is_path(name: &str) -> bool {
    let folders =
        ["src/", "tests/", "benches/", "examples/", "scripts/", "fuzz/", "docs/", "compose/", "grafana/", ".ci/"];
    let whole = !name.contains([' ', '*', '{', '…']);
    whole && (folders.iter().any(|folder| name.starts_with(folder)) || name.ends_with(".md") || name == "LICENSE")
}

#[test]
fn every_path_is_there() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let parts = parts(&read(document));
        let lines = parts.blocks.iter().flat_map(|(_, lines)| lines).filter(|line| line.starts_with("$ "));
        let words = lines.flat_map(|line| line.split(|c: char| " \"'()$".contains(c)));
        for path in parts.named.iter().map(String::as_str).chain(words).filter(|name| is_path(name)) {
            seen += 1;
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{document}: {path}");
        }
    }
    assert!(seen > 20, "{seen} paths were found");
}

#[test]
fn the_configurations_and_the_example_are_those_that_are_there() {
    let parts = parts(&read("README.md"));
    let environment = Environment::from([("LAB_TOKEN".to_owned(), "secret".to_owned())]);
    let (mut loaded, mut told) = (0, 0);
    for (language, lines) in &parts.blocks {
        let text = lines.join("\n");
        match (language.as_str(), lines.first().map(String::as_str)) {
            ("yaml", Some("# watchpost.yaml" | "# bad.yaml")) => {
                let name = lines[0].trim_start_matches("# ");
                let base = Base::Empty;
                let sources = Sources { base, file: Some((name, &text)), environment: &environment, flags: &[] };
                loaded += 1;
                match config::load(&sources) {
                    Ok(_) => assert_eq!(name, "watchpost.yaml"),
                    Err(mistakes) => {
                        let shown = format!("$ watchpost config check {name}\nerror: {mistakes}");
                        let blocks = &mut parts.blocks.iter().map(|(_, lines)| lines.join("\n"));
                        assert!(blocks.any(|block| block == shown), "{shown}");
                    }
                }
            }
            ("console", Some("$ watchpost config example")) => {
                let begin = text.split_once('\n').expect("its output").1.trim_end_matches('…');
                assert!(config::example().starts_with(begin), "{begin}");
                told += 1;
            }
            ("rust", _) => {
                // A part of one stands in the document without its indentation.
                let plain = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
                let mut examples = ["examples/consume.rs", "examples/emit.rs"].into_iter().map(read);
                assert!(examples.any(|example| plain(&example).contains(&plain(&text))), "{text}");
                told += 1;
            }
            _ => {}
        }
    }
    assert_eq!((loaded, told), (4, 3));
}

#[test]
fn the_exit_codes_and_limits_are_told_as_they_are() {
    let readme = read("README.md");
    let help = Cli::command().render_long_help().to_string();
    let codes = help.split_once("Exit codes:\n").expect("exit codes").1;
    for line in codes.lines() {
        let (code, meaning) = line.trim().split_once(' ').expect("a code and its meaning");
        assert!(readme.contains(&format!("| {code} | {} |", meaning.trim())), "{line}");
    }
    let limits = readme.split_once("## Limits").and_then(|(_, rest)| rest.split_once("## ")).expect("limits").0;
    let kib = |bytes: usize| format!("{} KiB", bytes >> 10);
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    let thousands = |number: usize| format!("{},{:03}", number / 1000, number % 1000);
    for limit in [
        kib(watchpost::event::MAX_EVENT_BYTES),
        format!(
            "{} events or {}",
            thousands(watchpost::ingest::MAX_BUS_EVENTS),
            mib(watchpost::ingest::MAX_BUS_BYTES)
        ),
        format!(
            "{} events or {} KB",
            thousands(watchpost::store::MAX_BATCH_EVENTS),
            watchpost::store::MAX_BATCH_BYTES / 1000
        ),
        format!("{} events", thousands(watchpost::api::filter::MAX_LIMIT)),
        format!("| {}; a frame", mib(watchpost::process_compose::MAX_BODY_BYTES)),
        kib(watchpost::process_compose::MAX_FRAME_BYTES),
        format!("| {}, {} events", mib(MAX_BODY), thousands(watchpost::store::MAX_BATCH_EVENTS)),
        format!("| {}; beyond that an event is not kept", mib(usize::try_from(MAX_SPOOL).expect("a size"))),
        format!(
            "| {} nodes, {MAX_PLANS} plans, {} requests in flight, {} failures",
            thousands(session::MAX_NODES),
            thousands(session::MAX_REQUESTS),
            thousands(session::MAX_FAILURES)
        ),
    ] {
        assert!(limits.contains(&limit), "{limit}");
    }
}

#[test]
fn a_document_is_taken_apart_as_a_reader_sees_it() {
    let text = "See `watchpost\nsinks` and [it](src/lib.rs).\n```console\n$ A=1 watchpost dlq list --sink 'a b' | jq .\nout\n```\n";
    let parts = parts(text);
    let expected = [vec!["watchpost", "dlq", "list", "--sink", "a b"], vec!["watchpost", "sinks"]];
    assert_eq!(commands(&parts, "watchpost"), expected);
    assert_eq!(parts.named, ["watchpost sinks", "src/lib.rs"]);
    assert!(
        is_path("src/lib.rs") && is_path("README.md") && !is_path("https://a/src/lib.rs") && !is_path("src/*.rs")
    );
}
