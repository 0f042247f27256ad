//! Items on their way into a queue: where they come from, how fast they go, how far they got. Pure but for reading files.

pub mod before;
pub mod cursor;
pub mod pace;
pub mod reins;
pub mod source;
