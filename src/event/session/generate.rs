//! Context generate: the plan, and the checks before it runs.

use super::payload::{Text, payload};

payload! {
    /// What is to be generated is known.
    PlanConstructed<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The node that was asked for.
        node_id: Text<'a>,
        /// Its path.
        path: Text<'a>,
        /// The agent that generates.
        agent_id: Text<'a>,
        /// The provider that it asks.
        provider_name: Text<'a>,
        /// The type of frame that is generated.
        frame_type: Text<'a>,
        /// Whether frames that are there already are made anew.
        force: bool,
        /// Whether the nodes below are generated too.
        recursive: bool,
        /// How many nodes the plan has.
        total_nodes: u64,
        /// How many levels it has.
        total_levels: u64,
    }
}

payload! {
    /// A node's descendants are being checked for what it needs of them.
    DescendantCheckStarted<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The node whose descendants are checked.
        node_id: Text<'a>,
        /// Its path.
        path: Text<'a>,
    }
}

payload! {
    /// All of a node's descendants have what it needs of them.
    DescendantCheckPassed<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The node whose descendants were checked.
        node_id: Text<'a>,
        /// Its path.
        path: Text<'a>,
    }
}

payload! {
    /// Some descendants lack what the node needs of them.
    DescendantCheckFailed<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The node whose descendants were checked.
        node_id: Text<'a>,
        /// Its path.
        path: Text<'a>,
        /// The paths or ids of those that lack it.
        missing: Vec<Text<'a>>,
    }
}

payload! {
    /// A node is not generated.
    NodeSkipped<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The node.
        node_id: Text<'a>,
        /// Its path.
        path: Text<'a>,
        /// Its level, from 0.
        level_index: u64,
        /// Why.
        reason: Text<'a>,
    }
}
