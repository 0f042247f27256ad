//! What goes into the queue, how fast, and how far it has come.

pub mod cursor;
pub mod pace;
pub mod source;

pub use cursor::{Cursor, CursorError};
pub use pace::Pace;
pub use source::{Items, SourceError};
