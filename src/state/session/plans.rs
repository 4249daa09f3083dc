//! Plans and their levels.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::bounded::{MAX_NAME, cut};
use super::nodes::NodeStatus;
use crate::event::Timestamp;

/// The most plans that are kept. Where there are more, the older half is forgotten, with its levels and nodes.
pub const MAX_PLANS: usize = 512;
/// The most levels that are kept, of all plans together.
pub const MAX_LEVELS: usize = 4096;

/// How far a plan has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// It is made, and has not begun.
    #[default]
    Planned,
    /// It is being generated.
    Running,
    /// Its generation is over.
    Completed,
    /// Its generation failed.
    Failed,
}

/// How many nodes have each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Known, and not begun.
    pub waiting: u64,
    /// Being generated.
    pub generating: u64,
    /// Waiting for a provider.
    pub provider_waiting: u64,
    /// Complete.
    pub complete: u64,
    /// Failed.
    pub failed: u64,
    /// Not generated.
    pub skipped: u64,
}

impl Counts {
    /// How many have a status.
    pub fn of(&self, status: NodeStatus) -> u64 {
        *self.clone().slot(status)
    }

    fn slot(&mut self, status: NodeStatus) -> &mut u64 {
        match status {
            NodeStatus::Waiting => &mut self.waiting,
            NodeStatus::Generating => &mut self.generating,
            NodeStatus::ProviderWaiting => &mut self.provider_waiting,
            NodeStatus::Complete => &mut self.complete,
            NodeStatus::Failed => &mut self.failed,
            NodeStatus::Skipped => &mut self.skipped,
        }
    }

    pub(super) fn add(&mut self, status: NodeStatus) {
        *self.slot(status) += 1;
    }

    pub(super) fn take(&mut self, status: NodeStatus) {
        let slot = self.slot(status);
        *slot = slot.saturating_sub(1);
    }
}

/// What the program itself said when a level or a generation was over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How many nodes were generated.
    pub generated: Option<u64>,
    /// How many failed.
    pub failed: Option<u64>,
    /// Of how many.
    pub total: Option<u64>,
}

/// A plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// The node that it is for.
    pub node_id: Option<String>,
    /// That node's path.
    pub path: Option<String>,
    /// Who generates.
    pub agent_id: Option<String>,
    /// The provider that is asked.
    pub provider_name: Option<String>,
    /// What is generated.
    pub frame_type: Option<String>,
    /// Whether what is there already is generated again.
    pub force: Option<bool>,
    /// Whether the nodes below are generated too.
    pub recursive: Option<bool>,
    /// How far it has come.
    pub status: PlanStatus,
    /// How many nodes it has, those that are skipped included.
    pub total_nodes: Option<u64>,
    /// How many levels.
    pub total_levels: Option<u64>,
    /// How many nodes are to be generated.
    pub to_generate: Option<u64>,
    /// When it was made.
    pub planned: Option<Timestamp>,
    /// When its generation began.
    pub started: Option<Timestamp>,
    /// When its generation was over.
    pub ended: Option<Timestamp>,
    /// What was counted of its nodes.
    pub counts: Counts,
    /// What the program said of it at the end.
    pub told: Option<Told>,
    /// Why it failed.
    pub error: Option<String>,
    /// The class of that failure.
    pub error_type: Option<String>,
}

/// A level of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// How many nodes are to be generated.
    pub total: Option<u64>,
    /// What was counted of its nodes.
    pub counts: Counts,
    /// What the program said of it at the end.
    pub told: Option<Told>,
}

/// The plans, and the levels of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Plans {
    /// The number of the first that is kept.
    pub(super) first: u32,
    list: VecDeque<Plan>,
    /// By plan and index; what belongs to no plan stands under [`NO_PLAN`].
    levels: BTreeMap<(u32, u32), Level>,
}

/// The number of no plan.
const NO_PLAN: u32 = u32::MAX;

impl Plans {
    /// The plans with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Plan)> {
        (self.first..).zip(&self.list)
    }

    /// The levels by plan and index.
    pub(super) fn levels(&self) -> impl Iterator<Item = (Option<u32>, u32, &Level)> {
        self.levels
            .iter()
            .map(|((plan, index), level)| (Some(*plan).filter(|plan| *plan != NO_PLAN), *index, level))
    }

    /// The number of the plan with that id, the newest first.
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        let id = cut(id, MAX_NAME);
        let back = self.list.iter().rev().position(|plan| plan.id == id)?;
        Some(self.first + (self.list.len() - 1 - back) as u32)
    }

    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_PLANS
    }

    pub(super) fn add(&mut self, id: &str) -> u32 {
        self.list.push_back(Plan { id: cut(id, MAX_NAME).to_owned(), ..Plan::default() });
        self.first + self.list.len() as u32 - 1
    }

    /// Forgets the older half and its levels.
    pub(super) fn forget_half(&mut self) {
        let half = self.list.len() / 2;
        self.list.drain(..half);
        let first = self.first + half as u32;
        self.levels.retain(|(plan, _), _| *plan >= first);
        self.first = first;
    }

    pub(super) fn get_mut(&mut self, plan: u32) -> Option<&mut Plan> {
        self.list.get_mut(plan.checked_sub(self.first)? as usize)
    }

    /// A level, which is added where it is not there and there is room.
    pub(super) fn level_mut(&mut self, plan: Option<u32>, index: u32) -> Option<&mut Level> {
        let key = (plan.unwrap_or(NO_PLAN), index);
        if self.levels.len() >= MAX_LEVELS && !self.levels.contains_key(&key) {
            return None;
        }
        Some(self.levels.entry(key).or_default())
    }

    /// A level that is there.
    pub(super) fn known_level_mut(&mut self, plan: Option<u32>, index: u32) -> Option<&mut Level> {
        self.levels.get_mut(&(plan.unwrap_or(NO_PLAN), index))
    }

    /// The plan that runs, the newest first.
    pub(super) fn running(&self) -> Option<&Plan> {
        self.list.iter().rev().find(|plan| plan.status == PlanStatus::Running)
    }
}
