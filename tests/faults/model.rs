//! Random histories of a store, each step held against a model: a plain list of events.
//!
//! The store stands on a disk in memory that loses what was not flushed, and fails when told to. What is drawn
//! is in `step.rs`, the model in `state.rs`; `world.rs` does each step to both, `reads.rs` compares them.

mod expected;
mod reads;
mod state;
mod step;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use self::world::World;

/// The most steps of a history.
const STEPS: usize = 40;

#[test]
fn a_store_is_what_its_model_is() {
    let histories = crate::amount("HISTORIES", 300) as u32;
    let config =
        Config { cases: histories, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let (began, mut steps) = (std::time::Instant::now(), 0);
    let counted = std::cell::Cell::new(0);
    let outcome = TestRunner::new(config).run(&prop::collection::vec(step::step(), 1..STEPS), |history| {
        counted.set(counted.get() + history.len());
        let mut world = World::new();
        history.iter().for_each(|step| world.take(step));
        world.end();
        Ok(())
    });
    steps += counted.get();
    outcome.unwrap_or_else(|error| panic!("{error}"));
    println!("model: {histories} histories, {steps} steps, {:.1} s", began.elapsed().as_secs_f64());
}
