//! `GET /graph`: which process waits for which.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// What each process waits for: by its name, then by that of what it depends on, until when (`started`, `healthy`,
/// `log_ready`, `completed`, `completed_successfully`). A process that waits for nothing is not in it.
pub type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the body of `GET /graph`.
///
/// It is a tree: a process that others depend on stands below each of them, with all that is below it again, and
/// only those that nobody depends on stand at the top. Nothing is kept of what comes twice.
///
/// # Errors
/// It is something else, or nested over a hundred levels deep.
pub fn parse_graph(body: &[u8]) -> serde_json::Result<Graph> {
    let mut graph = Graph::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    Object { key: "nodes", graph: &mut graph }.deserialize(&mut json)?;
    json.end()?;
    Ok(graph)
}

/// The answer itself.
struct Object<'g> {
    key: &'static str,
    graph: &'g mut Graph,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a graph of processes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut there = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.key {
                there = true;
                map.next_value_seed(Nodes { above: None, graph: self.graph })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if there { Ok(()) } else { Err(serde::de::Error::missing_field(self.key)) }
    }
}

/// Processes by name: at the top, or those that one depends on.
struct Nodes<'a, 'g> {
    above: Option<&'a str>,
    graph: &'g mut Graph,
}

impl<'de> DeserializeSeed<'de> for Nodes<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Nodes<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("processes by name")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let condition = map.next_value_seed(Node { name: &name, graph: self.graph })?;
            if let Some(above) = self.above {
                self.graph.entry(above.to_owned()).or_default().insert(name, condition);
            }
        }
        Ok(())
    }
}

/// One process; answers until when the one above waits for it.
struct Node<'a, 'g> {
    name: &'a str,
    graph: &'g mut Graph,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a process")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut condition = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::DependsOn => map.next_value_seed(Nodes { above: Some(self.name), graph: self.graph })?,
                Key::DependencyType => condition = map.next_value::<Option<String>>()?,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        // What it says where it says nothing.
        Ok(condition.filter(|condition| !condition.is_empty()).unwrap_or_else(|| "started".into()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    DependsOn,
    DependencyType,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What v1.122 answered for: web needs api started, api needs db healthy and init completed successfully.
    const ANSWER: &str = r#"{"nodes":{"web":{"name":"web","process_status":"Pending","is_ready":"-","depends_on":{
        "api":{"name":"api","process_status":"Pending","is_ready":"-","depends_on":{
            "db-0":{"name":"db-0","process_status":"Running","is_ready":"Not Ready","dependency_type":"healthy"},
            "init":{"name":"init","process_status":"Running","is_ready":"-","dependency_type":"completed_successfully"}},
        "dependency_type":"started"}}}}}"#;

    #[test]
    fn each_process_of_the_tree_has_what_it_depends_on() {
        let graph = parse_graph(ANSWER.as_bytes()).expect("a graph");
        let told = |name: &str| -> Vec<(&str, &str)> {
            graph.get(name).into_iter().flatten().map(|(on, until)| (on.as_str(), until.as_str())).collect()
        };
        assert_eq!(told("web"), [("api", "started")]);
        assert_eq!(told("api"), [("db-0", "healthy"), ("init", "completed_successfully")]);
        assert_eq!(graph.len(), 2);
    }

    #[test]
    fn what_is_no_graph_is_refused_and_what_is_missing_is_not_missed() {
        for wrong in ["", "{}", "[]", "null", r#"{"nodes":[]}"#, r#"{"nodes":{"a":1}}"#, r#"{"nodes":{}}x"#] {
            assert!(parse_graph(wrong.as_bytes()).is_err(), "{wrong}");
        }
        for empty in [r#"{"nodes":{}}"#, r#"{"nodes":null,"more":[1]}"#, r#"{"nodes":{"a":{"depends_on":null}}}"#] {
            assert_eq!(parse_graph(empty.as_bytes()).expect(empty), Graph::new());
        }
        let short = parse_graph(br#"{"nodes":{"a":{"depends_on":{"b":{}}}}}"#).expect("a graph");
        assert_eq!(short["a"]["b"], "started");
    }

    #[test]
    fn a_chain_too_deep_is_refused_and_harms_nothing() {
        let deep =
            format!("{}{}", r#"{"nodes":{"a":{"depends_on":{"a":"#, r#"{"depends_on":{"a":"#.repeat(100_000));
        assert!(parse_graph(deep.as_bytes()).is_err());
    }
}
