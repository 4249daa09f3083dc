//! The payloads of the catalog: any text is read, what is right in it stays, and what is wrong is named.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use watchpost::event::Data;
use watchpost::event::session::{Type, severity, types};

/// The first byte chooses the type, the rest is the payload.
pub(super) fn check(bytes: &[u8]) {
    let Some((first, data)) = bytes.split_first() else { return };
    let Ok(data) = std::str::from_utf8(data) else { return };
    let known = &types()[usize::from(*first) % types().len()];
    severity(known.name, data);
    let read = known.known(data);
    match Data::parse(data.into()) {
        Ok(data) => of_an_object(known, &data),
        Err(_) => assert_eq!(read.wrong, ["data"]),
    }
    let again = known.known(&read.value.to_string());
    assert_eq!((again.wrong, again.value), (vec![], read.value), "{}: written and read again", known.name);
}

fn of_an_object(known: &Type, data: &Data) {
    let read = known.known(data.get());
    let example: Map<String, Value> = serde_json::from_str(known.example).expect("an example");
    let unique: BTreeSet<&String> = read.wrong.iter().collect();
    assert_eq!(unique.len(), read.wrong.len(), "{}: named twice: {:?}", known.name, read.wrong);
    for name in &read.wrong {
        assert!(example.contains_key(own(name)), "{}: {name} is no field of it", known.name);
    }
    let Ok(sent) = data.read::<Map<String, Value>>() else { return };
    for (name, value) in sent.iter().filter(|(name, _)| example.contains_key(own(name))) {
        let wrong = read.wrong.iter().any(|wrong| own(wrong) == own(name));
        let there = read.value.get(own(name)).is_some();
        assert!(value.is_null() || wrong != there, "{}: {name} is lost, or wrong and there", known.name);
    }
}

/// The name of the field that is read under this one.
fn own(name: &str) -> &str {
    if name == "error_type" { "error.type" } else { name }
}
