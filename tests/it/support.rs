//! What the tests share.

pub(crate) mod events;
pub(crate) mod jwt;
pub(crate) mod nats;
pub(crate) mod wait;
