//! A host's serial console: the last 64 KiB of what was written to it, as `GetConsoleOutput` keeps it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// What AWS keeps.
const KEPT: usize = 64 * 1024;

/// The newest output.
#[derive(Debug, Default)]
pub(super) struct Console {
    text: Mutex<VecDeque<u8>>,
}

impl Console {
    /// Appends, and forgets the oldest.
    pub(super) fn push(&self, data: &[u8]) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.extend(&data[data.len().saturating_sub(KEPT)..]);
        let excess = text.len().saturating_sub(KEPT);
        text.drain(..excess);
    }

    /// Everything kept; a letter cut in two at the beginning is replaced.
    pub(super) fn read(&self) -> String {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(text.make_contiguous()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let console = Console::default();
        console.push(b"first");
        console.push(&vec![b'x'; KEPT]);
        console.push(b"last");
        let text = console.read();
        assert_eq!(text.len(), KEPT);
        assert!(text.ends_with("xlast") && !text.contains("first"));
    }
}
