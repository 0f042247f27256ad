//! Runs things: hosts in waves, each on its own.

pub mod fanout;
pub mod group;
