//! Keeps the beginning and the end of output of any length in bounded memory.

use std::collections::VecDeque;

/// Collects bytes: up to half of the bound from the beginning, the rest from the end.
#[derive(Debug)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    most: usize,
    left_out: u64,
}

impl Capture {
    /// Keeps at most `most` bytes, not counting the mark.
    pub(super) fn new(most: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), most, left_out: 0 }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let room = (self.most / 2).saturating_sub(self.head.len());
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let keep = self.most - self.most / 2;
        let dropped = (self.tail.len() + rest.len()).saturating_sub(keep);
        let from_tail = dropped.min(self.tail.len());
        self.tail.drain(..from_tail);
        self.tail.extend(&rest[dropped - from_tail..]);
        self.left_out += u64::try_from(dropped).unwrap_or(u64::MAX);
    }

    /// All that was kept, with a line that says how much is missing, if any is.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut bytes = self.head;
        if self.left_out > 0 {
            bytes.extend_from_slice(format!("\n[... {} bytes left out ...]\n", self.left_out).as_bytes());
        }
        bytes.extend(self.tail);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn beginning_and_end_are_kept(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..20), most in 0usize..60) {
            let mut capture = Capture::new(most);
            for chunk in &chunks {
                capture.add(chunk);
                prop_assert!(capture.head.len() + capture.tail.len() <= most);
            }
            let all = chunks.concat();
            let kept = capture.finish();
            if all.len() <= most {
                prop_assert_eq!(kept, all);
            } else {
                let (head, tail) = (most / 2, most - most / 2);
                prop_assert!(kept.starts_with(&all[..head]));
                prop_assert!(kept.ends_with(&all[all.len() - tail..]));
                let mark = format!("\n[... {} bytes left out ...]\n", all.len() - most);
                prop_assert_eq!(&kept[head..head + mark.len()], mark.as_bytes());
            }
        }
    }
}
