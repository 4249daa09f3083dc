//! A real process-compose, played back: what one answered and sent, at the times at which it did.

mod player;
mod recording;

pub use player::Player;
pub use recording::{Answer, Event, Malformed, Recording, Truth};
