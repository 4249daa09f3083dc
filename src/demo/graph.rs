//! What a supervisor answers to `/graph`, worked out from its project's file.

use serde_json::{Map, Value, json};

use crate::process_compose::base_name;

/// Deeper than any project is; a circle, which no supervisor would take, ends there.
const MAX_DEPTH: u32 = 16;

/// The answer for a project with these replicas: a tree, at the top of which stand those that depend on something
/// and that nobody depends on.
pub(super) fn of(project: &Value, replicas: &[&str]) -> Value {
    let graph = Graph { project, replicas };
    let waited_for: Vec<&String> = replicas.iter().flat_map(|name| graph.wanted(name)).map(|(on, _)| on).collect();
    let top = replicas
        .iter()
        .filter(|name| graph.wanted(name).next().is_some() && !waited_for.iter().any(|on| graph.is(name, on)));
    let nodes: Map<String, Value> = top.map(|name| ((*name).to_owned(), graph.node(name, None, 0))).collect();
    json!({ "nodes": nodes })
}

struct Graph<'a> {
    project: &'a Value,
    replicas: &'a [&'a str],
}

impl Graph<'_> {
    fn is(&self, replica: &str, process: &str) -> bool {
        replica == process || (base_name(replica) == process && self.project["processes"][replica].is_null())
    }

    /// What a replica's process depends on, with the condition.
    fn wanted(&self, replica: &str) -> impl Iterator<Item = (&String, &str)> {
        let processes = self.project["processes"].as_object().into_iter().flatten();
        let of = processes.filter(move |(process, _)| self.is(replica, process));
        let on = of.filter_map(|(_, process)| process["depends_on"].as_object()).flatten();
        on.map(|(on, how)| (on, how["condition"].as_str().unwrap_or("process_started")))
    }

    fn node(&self, name: &str, condition: Option<&str>, depth: u32) -> Value {
        let mut node = json!({ "name": name });
        if let Some(condition) = condition {
            node["dependency_type"] = json!(condition.trim_start_matches("process_"));
        }
        let mut below = Map::new();
        for (on, condition) in self.wanted(name).filter(|_| depth < MAX_DEPTH) {
            for replica in self.replicas.iter().filter(|replica| self.is(replica, on)) {
                below.insert((*replica).to_owned(), self.node(replica, Some(condition), depth + 1));
            }
        }
        if !below.is_empty() {
            node["depends_on"] = Value::Object(below);
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process_compose::parse_graph;

    #[test]
    fn the_answer_is_the_tree_of_the_project() {
        let on = |on: &str, condition: &str| json!({ "depends_on": { on: { "condition": condition } } });
        let project = json!({ "processes": {
            "db": {}, "api": on("db", "process_healthy"), "web": on("api", "process_started"),
        } });
        let answer = of(&project, &["db-0", "db-1", "api", "web"]);
        assert_eq!(
            answer["nodes"].as_object().map(|nodes| nodes.keys().collect::<Vec<_>>()),
            Some(vec![&"web".to_owned()])
        );
        let graph = parse_graph(answer.to_string().as_bytes()).expect("a graph");
        assert_eq!(graph["web"]["api"], "started");
        assert_eq!(graph["api"].values().collect::<Vec<_>>(), ["healthy", "healthy"]);
        assert_eq!(graph["api"].keys().collect::<Vec<_>>(), ["db-0", "db-1"]);
        assert_eq!(of(&Value::Null, &["a"]), json!({ "nodes": {} }));
    }
}
