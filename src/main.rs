//! The `watchpost` binary.

fn main() {}
