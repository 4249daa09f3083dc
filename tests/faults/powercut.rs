//! A power cut at random moments of a recorded run.

mod disk;
mod image;
mod journal;
mod library;
mod names;
pub(crate) mod raw;
