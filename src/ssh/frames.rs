//! Tells the runner's own words from the output of what it runs.

/// One frame of the runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The host has this play already.
    Same,
    /// The payload may come.
    Go,
    /// A step begins: index, try from 1.
    Start(usize, u32),
    /// A step's try ended: index, outcome word, exit status.
    End(usize, Ended, u32),
    /// No further tries: the play failed.
    Stop,
    /// All steps are done, the marker is written.
    Done,
    /// Another push is at work on the host.
    Busy,
    /// The host can't run plays, and why.
    Broken(String),
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Ok,
    Changed,
    Failed,
    Timeout,
}

/// What a piece of the stream is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Frame(Frame),
    Output(&'a [u8]),
}

/// The longest frame line; what is longer is no frame.
const LONGEST: usize = 8 * 1024;

/// Splits the stream; memory is bounded by the longest frame and the pieces that are fed.
#[derive(Debug)]
pub(super) struct Frames {
    mark: Vec<u8>,
    held: Vec<u8>,
}

impl Frames {
    /// Frames start with a line feed, the nonce and a space.
    pub(super) fn new(nonce: &str) -> Self {
        Self { mark: format!("\n{nonce} ").into_bytes(), held: Vec::new() }
    }

    /// Takes the next bytes and gives out what is certain.
    pub(super) fn feed(&mut self, bytes: &[u8], mut out: impl FnMut(Item<'_>)) {
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        loop {
            let rest = &self.held[from..];
            let Some(at) = find(rest, &self.mark) else {
                let sure = rest.len() - overlap(rest, &self.mark);
                if sure > 0 {
                    out(Item::Output(&rest[..sure]));
                }
                from += sure;
                break;
            };
            if at > 0 {
                out(Item::Output(&rest[..at]));
                from += at;
                continue;
            }
            let line = &rest[self.mark.len()..];
            match line.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    match parse(&String::from_utf8_lossy(&line[..end])) {
                        Some(frame) => out(Item::Frame(frame)),
                        None => out(Item::Output(&rest[..=self.mark.len() + end])),
                    }
                    from += self.mark.len() + end + 1;
                }
                None if line.len() > LONGEST => {
                    out(Item::Output(&rest[..self.mark.len()]));
                    from += self.mark.len();
                }
                None => break,
            }
        }
        self.held.drain(..from);
    }

    /// The stream is over: what was held back was output.
    pub(super) fn finish(&mut self, mut out: impl FnMut(Item<'_>)) {
        if !self.held.is_empty() {
            out(Item::Output(&self.held));
            self.held.clear();
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// How many bytes at the end may be the beginning of `what`.
fn overlap(text: &[u8], what: &[u8]) -> usize {
    (1..what.len().min(text.len() + 1)).rev().find(|n| text.ends_with(&what[..*n])).unwrap_or(0)
}

fn parse(line: &str) -> Option<Frame> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut rest_words = rest.split(' ');
    Some(match word {
        "same" => Frame::Same,
        "go" => Frame::Go,
        "start" => Frame::Start(rest_words.next()?.parse().ok()?, rest_words.next()?.parse().ok()?),
        "end" => {
            let index = rest_words.next()?.parse().ok()?;
            let ended = match rest_words.next()? {
                "ok" => Ended::Ok,
                "changed" => Ended::Changed,
                "failed" => Ended::Failed,
                "timeout" => Ended::Timeout,
                _ => return None,
            };
            Frame::End(index, ended, rest_words.next()?.parse().ok()?)
        }
        "stop" => Frame::Stop,
        "done" => Frame::Done,
        "busy" => Frame::Busy,
        "broken" => Frame::Broken(rest.to_owned()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(stream: &[u8], chunk: usize) -> (Vec<u8>, Vec<Frame>) {
        let (mut output, mut seen) = (Vec::new(), Vec::new());
        let mut frames = Frames::new("f00d");
        let mut take = |item: Item<'_>| match item {
            Item::Frame(frame) => seen.push(frame),
            Item::Output(bytes) => output.extend_from_slice(bytes),
        };
        for piece in stream.chunks(chunk) {
            frames.feed(piece, &mut take);
        }
        frames.finish(&mut take);
        (output, seen)
    }

    #[test]
    fn frames_stand_out_of_output() {
        let stream = b"\nf00d start 0 1\nhello\nf00 d\nno newline\nf00d end 0 failed 3\n\nf00d stop\ntail\nf00d";
        for chunk in [1, 2, 3, 7, 1000] {
            let (output, frames) = read(stream, chunk);
            assert_eq!(output, b"hello\nf00 d\nno newlinetail\nf00d", "{chunk}");
            assert_eq!(frames, [Frame::Start(0, 1), Frame::End(0, Ended::Failed, 3), Frame::Stop]);
        }
    }

    #[test]
    fn what_is_no_frame_is_output() {
        let stream = [b"\nf00d end x\n".as_slice(), b"\nf00d ", &[b'y'; LONGEST * 2], b"\n"].concat();
        let (output, frames) = read(&stream, 100);
        assert_eq!(output, stream);
        assert!(frames.is_empty());
    }

    proptest! {
        #[test]
        fn output_without_the_nonce_passes_unchanged(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'f'), Just(b'0'), Just(b' ')], 0..60), chunk in 1usize..9) {
            prop_assume!(find(&bytes, b"\nf00d ").is_none());
            let (output, frames) = read(&bytes, chunk);
            prop_assert_eq!(output, bytes);
            prop_assert!(frames.is_empty());
        }
    }
}
