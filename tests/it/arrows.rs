//! Imports run one way: each `use crate::…` of a module is an arrow, and every arrow stands in the table of
//! ARCHITECTURE.md, whose modules stand in the order of the flow.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Module → the modules that it may use, in the order of the table.
type Arrows = Vec<(String, BTreeSet<String>)>;

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The rows `| module | uses |` under the heading of the arrows.
fn table(text: &str) -> Arrows {
    let section = text.split("## The arrows").nth(1).expect("a heading for the arrows");
    let rows = section.lines().skip_while(|line| !line.starts_with("|--")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let words =
        |cell: &str| cell.split(',').map(|word| word.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let uses = words(cells[1]).into_iter().filter(|word| !word.is_empty() && word != "—").collect();
        (words(cells[0]).remove(0), uses)
    };
    rows.map(row).collect()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules that the text names after `crate::`, in `use` lines and in paths alike.
fn named(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(list, _)| list);
        let name =
            |path: &str| path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
        match list {
            Some(list) => modules.extend(list.split(',').filter_map(name)),
            None => modules.extend(name(rest)),
        }
    }
    modules.retain(|module| module.starts_with(|c: char| c.is_ascii_lowercase()));
    modules
}

/// What each module uses, with one file that does.
fn used() -> BTreeMap<(String, String), PathBuf> {
    let src = root().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut used = BTreeMap::new();
    for file in files {
        let within = file.strip_prefix(&src).expect("under src");
        let module = within.components().next().expect("a name").as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        for other in named(&fs::read_to_string(&file).expect("text")) {
            if other != module {
                used.insert((module.clone(), other), within.to_owned());
            }
        }
    }
    used
}

#[test]
fn every_arrow_stands_in_the_table() {
    let arrows = table(&fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map"));
    let allowed = |from: &str, to: &str| arrows.iter().any(|(module, uses)| module == from && uses.contains(to));
    let used = used();
    let strange: Vec<String> = used
        .iter()
        .filter(|((from, to), _)| !allowed(from, to))
        .map(|((from, to), file)| format!("{from} uses {to} ({})", file.display()))
        .collect();
    assert!(strange.is_empty(), "not in ARCHITECTURE.md: {strange:#?}");
    for (from, uses) in &arrows {
        for to in uses {
            assert!(used.contains_key(&(from.clone(), to.clone())), "in the table, but not used: {from} → {to}");
        }
    }
}

#[test]
fn the_table_runs_one_way() {
    let arrows = table(&fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map"));
    let place = |module: &str| arrows.iter().position(|(name, _)| name == module);
    for (from, uses) in &arrows {
        for to in uses {
            assert!(place(to) < place(from) && place(to).is_some(), "{from} → {to} goes against the flow");
        }
    }
    let mut modules = Vec::new();
    sources(&root().join("src"), &mut modules);
    let top = modules.iter().filter(|path| path.parent() == Some(&root().join("src")));
    for module in top.filter_map(|path| path.file_stem()).map(|stem| stem.to_string_lossy()) {
        assert!(module == "lib" || module == "main" || place(&module).is_some(), "{module} is not in the table");
    }
}

#[test]
fn names_are_found_wherever_they_stand() {
    let text = "use crate::event::Event;\n// crate::nothing\nuse crate::{store, config::Settings};\nlet x = crate::api::serve();\n";
    let expected = ["api", "config", "event", "store"].map(str::to_owned);
    assert_eq!(named(text), BTreeSet::from(expected));
}
