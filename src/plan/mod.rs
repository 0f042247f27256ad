//! What to do and what to think of it: pure functions of what was seen.

pub mod eta;
pub mod verdict;
