//! The current state of each process.
