//! OpenTelemetry's rules for names, held against ours.
//!
//! From the naming guide of the semantic conventions: lower case, namespaces apart by dots, words by underscores;
//! a name must not be the namespace of another one.

use std::collections::BTreeSet;

use super::*;

fn is_attribute(name: &Name) -> bool {
    matches!(name.kind, Kind::Attribute(_))
}

fn attributes() -> BTreeSet<&'static str> {
    all().filter(|name| is_attribute(name)).map(|name| name.name).collect()
}

/// Lower-case words, digits behind the first letter; words by `_`, namespaces by `.`.
fn well_formed(name: &str) -> bool {
    name.split('.').all(|part| {
        let words = part.split('_').all(|word| !word.is_empty());
        let plain = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        words && plain && part.starts_with(|c: char| c.is_ascii_lowercase())
    })
}

#[test]
fn our_names_follow_the_naming_rules_and_are_ours() {
    for name in
        all().filter(|name| name.source == Source::Own && !matches!(name.kind, Kind::Span | Kind::SpanEvent))
    {
        assert!(name.name.starts_with("watchpost."), "{}", name.name);
        assert!(name.name == DATA_FIELD || well_formed(name.name), "{}", name.name);
    }
    assert_eq!(DATA_FIELD, format!("{DATA_PREFIX}<field>"));
    for wrong in ["Watchpost.a", "watchpost..a", "watchpost._a", "watchpost.a__b", "watchpost.1", "watchpost.a-b"] {
        assert!(!well_formed(wrong), "{wrong}");
    }
}

#[test]
fn no_attribute_is_the_namespace_of_another_one() {
    let attributes = attributes();
    for name in &attributes {
        let within = format!("{name}.");
        let inner: Vec<_> = attributes.iter().filter(|other| other.starts_with(&within)).collect();
        assert!(inner.is_empty(), "{name} is the namespace of {inner:?}");
    }
}

#[test]
fn each_name_stands_once_with_a_sentence_and_known_attributes() {
    let (known, mut seen) = (attributes(), BTreeSet::new());
    for name in all() {
        let role = (is_attribute(name), matches!(name.kind, Kind::Span | Kind::SpanEvent), name.name);
        assert!(seen.insert(role), "{} stands twice", name.name);
        assert!(name.about.ends_with('.') && name.about.len() > 5, "{}: {:?}", name.name, name.about);
        for attribute in name.attributes {
            assert!(known.contains(attribute), "{}: {attribute} is not in the table", name.name);
        }
    }
}
