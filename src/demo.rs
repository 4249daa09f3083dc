//! What can be shown without any of one's own: a real process-compose, played back as it answered and sent, and
//! the standard workload, a session of generation work.

mod graph;
mod player;
mod recording;
mod workload;

pub use player::Player;
pub use recording::{Answer, Event, Malformed, Recording, Truth};
pub use workload::{Step, Steps, Workload};
