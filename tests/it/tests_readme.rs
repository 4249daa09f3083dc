//! The tables of `tests/README.md` name tests that are there, under the names that the test runner prints.

use std::fs;
use std::path::Path;

/// A row: what is to be shown, and the test that shows it with its file.
struct Row {
    line: String,
    test: String,
    file: String,
}

/// The rows of all tables; one without a line has that of the row above.
fn rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for row in text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let &[line, test, file] = cells.as_slice() else { panic!("not three cells: {row}") };
        if line != "line" {
            let above = rows.last().map(|row| row.line.clone()).filter(|_| line.is_empty());
            let plain = |cell: &str| cell.trim_matches('`').to_owned();
            rows.push(Row { line: above.unwrap_or_else(|| line.into()), test: plain(test), file: plain(file) });
        }
    }
    rows
}

/// The path of a file's module, as it stands before the names of its tests.
fn module(file: &str) -> Option<String> {
    let within = file.strip_prefix("src/").or_else(|| file.strip_prefix("tests/"))?;
    Some(within.strip_suffix(".rs")?.replace('/', "::"))
}

/// Whether a source has a function of this name right behind an attribute that makes it a test.
fn has_test(source: &str, name: &str) -> bool {
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        let begin = line.strip_prefix("async ").unwrap_or(line);
        if let Some(rest) = begin.strip_prefix("fn ") {
            if marked && rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')) {
                return true;
            }
            marked = false;
        } else if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        }
    }
    false
}

/// What is wrong with a row, if anything is.
fn wrong(root: &Path, row: &Row) -> Option<String> {
    let told = |what: &str| Some(format!("{}: {}: {what} {}", row.line, row.test, row.file));
    let Ok(source) = fs::read_to_string(root.join(&row.file)) else { return told("there is no") };
    let within = module(&row.file).and_then(|module| row.test.strip_prefix(&module)?.strip_prefix("::"));
    let Some(within) = within else { return told("a name of another module than that of") };
    // A file's own tests stand in it in a module of that name.
    let name = within.strip_prefix("tests::").unwrap_or(within);
    if has_test(&source, name) { None } else { told("there is no such test in") }
}

#[test]
fn each_test_that_the_table_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = rows(&fs::read_to_string(root.join("tests/README.md")).expect("the tables"));
    let wrong: Vec<String> = rows.iter().filter_map(|row| wrong(root, row)).collect();
    assert!(wrong.is_empty(), "tests/README.md: {wrong:#?}");
    let mut lines: Vec<&str> = rows.iter().map(|row| row.line.as_str()).collect();
    lines.dedup();
    // Twenty required ones, and those behind them.
    assert!(lines.len() > 30, "only {} lines", lines.len());
}

#[test]
fn a_test_is_known_by_its_attribute_and_its_file() {
    let source = "#[test]\n#[ignore]\nfn one() {}\nfn two() {}\n  #[tokio::test(start_paused = true)]\n  async fn three() {}";
    assert!(has_test(source, "one") && has_test(source, "three"));
    assert!(!has_test(source, "two") && !has_test(source, "thre") && !has_test(source, "none"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = "a_test_is_known_by_its_attribute_and_its_file";
    let of = |test: &str, file: &str| {
        wrong(root, &Row { line: String::new(), test: test.into(), file: file.into() }).is_some()
    };
    assert!(!of(&format!("it::tests_readme::{own}"), "tests/it/tests_readme.rs"));
    assert!(of(&format!("it::tests_readme::{own}"), "tests/it/nowhere.rs"));
    assert!(of(&format!("it::elsewhere::{own}"), "tests/it/tests_readme.rs"));
    assert!(of("it::tests_readme::has_test", "tests/it/tests_readme.rs"));
}
