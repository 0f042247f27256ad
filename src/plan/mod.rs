//! Pure planning: what is to be done, as data, from what is known.

pub mod play;
mod shelltext;
pub mod waves;
