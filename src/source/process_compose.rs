//! The source that watches the processes of a process-compose supervisor.

mod clock;
pub mod diff;
pub mod hint;
pub mod record;
mod rename;
mod table;
#[cfg(test)]
mod tests;
mod walk;

pub use clock::Mark;
pub use walk::Change;
