//! Orchestrator: a plan runs level by level, and each level node by node.

use super::payload::{Text, payload};

payload! {
    /// A plan begins to run.
    GenerationStarted<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// How many nodes it has.
        total_nodes: u64,
        /// How many levels it has.
        total_levels: u64,
    }
}

payload! {
    /// A level begins.
    LevelStarted<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The level, from 0.
        level_index: u64,
        /// How many nodes it has.
        total_count: u64,
    }
}

payload! {
    /// A node's generation begins.
    NodeGenerationStarted<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The node's level, from 0.
        level_index: u64,
        /// The node.
        node_id: Text<'a>,
        /// Its path.
        path: Text<'a>,
    }
}

payload! {
    /// A node was generated.
    NodeGenerationCompleted<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The node's level, from 0.
        level_index: u64,
        /// The node.
        node_id: Text<'a>,
        /// Its path.
        path: Text<'a>,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    }
}

payload! {
    /// A node could not be generated.
    NodeGenerationFailed<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The node's level, from 0.
        level_index: u64,
        /// The node.
        node_id: Text<'a>,
        /// Its path.
        path: Text<'a>,
        /// What went wrong, in words.
        error: Text<'a>,
        /// The class of the error, one of few; read under `error_type` too.
        #[serde(rename = "error.type", alias = "error_type")]
        error_type: Text<'a>,
    }
}

payload! {
    /// All nodes of a level are done, one way or another.
    LevelCompleted<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// The level, from 0.
        level_index: u64,
        /// How many of its nodes were generated.
        generated_count: u64,
        /// How many failed.
        failed_count: u64,
        /// How many it has.
        total_count: u64,
    }
}

payload! {
    /// The plan has run to its end.
    GenerationCompleted<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// How many nodes were generated.
        generated_count: u64,
        /// How many failed.
        failed_count: u64,
        /// How many it has.
        total_count: u64,
    }
}

payload! {
    /// The plan was given up.
    GenerationFailed<'a> {
        /// The plan.
        plan_id: Text<'a>,
        /// What went wrong, in words.
        error: Text<'a>,
        /// The class of the error, one of few; read under `error_type` too.
        #[serde(rename = "error.type", alias = "error_type")]
        error_type: Text<'a>,
    }
}
