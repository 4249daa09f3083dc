//! Delivery over OTLP, with the answer read.

mod answer;
pub mod channel;
mod grpc;
mod http;

pub use answer::{Answer, Fail};
pub use channel::{Channel, Invalid, Signal};
