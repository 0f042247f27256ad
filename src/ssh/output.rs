//! Makes output of hosts safe to show: whatever could move the cursor, forge a line or lie about direction is spelt out.

use std::fmt::Write as _;

/// Bounds for what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Characters of one line; of a longer one the middle is replaced by a mark.
    pub line: usize,
    /// Bytes of everything; of longer output the end is kept, since errors come last.
    pub total: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { line: 500, total: 8 * 1024 }
    }
}

/// Output of a host as text that a terminal, a log or a report can show as it is: line feeds stay, everything else that
/// is not plainly visible is escaped (`\e[31m`, `\r`, `\x80`, `\u{202e}`), long lines and long texts are cut with a mark.
/// A carriage return that only ends a line is dropped.
pub fn sanitise(bytes: &[u8], bounds: Bounds) -> String {
    let (cut, bytes) = match bytes.len().checked_sub(bounds.total) {
        Some(over) if over > 0 => (over, &bytes[over..]),
        _ => (0, bytes),
    };
    let mut text = String::with_capacity(bytes.len());
    if cut > 0 {
        add(&mut text, format_args!("[... {cut} bytes left out]\n"));
    }
    for (i, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if i > 0 {
            text.push('\n');
        }
        escape_line(line.strip_suffix(b"\r").unwrap_or(line), bounds.line, &mut text);
    }
    text
}

/// Text for one line: as [`sanitise`], with line feeds escaped too, at most 1000 characters.
pub fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    escape_line(text.trim().as_bytes(), Bounds::default().line * 2, &mut line);
    line
}

fn escape_line(line: &[u8], most: usize, out: &mut String) {
    let units: Vec<Result<char, u8>> = line
        .utf8_chunks()
        .flat_map(|chunk| chunk.valid().chars().map(Ok).chain(chunk.invalid().iter().copied().map(Err)))
        .collect();
    let mut show = |units: &[Result<char, u8>]| {
        for unit in units {
            match unit {
                Ok(c) => escape(*c, out),
                Err(byte) => add(out, format_args!("\\x{byte:02x}")),
            }
        }
    };
    match units.len().checked_sub(most) {
        Some(over) if over > 0 => {
            let (head, tail) = (most / 2, most - most / 2);
            show(&units[..head]);
            let mark: Vec<_> = format!("[... {over} left out ...]").chars().map(Ok).collect();
            show(&mark);
            show(&units[units.len() - tail..]);
        }
        _ => show(&units),
    }
}

fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    out.write_fmt(text).ok();
}

fn escape(c: char, out: &mut String) {
    match c {
        '\t' => out.push('\t'),
        '\u{1b}' => out.push_str("\\e"),
        '\r' => out.push_str("\\r"),
        '\n' => out.push_str("\\n"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => add(out, format_args!("\\x{:02x}", u32::from(c))),
        c if unseen(c) => add(out, format_args!("\\u{{{:x}}}", u32::from(c))),
        c => out.push(c),
    }
}

/// C1 controls (a terminal may take U+009B for CSI), line separators, and characters that change direction, join or
/// vanish: what the reader sees would not be what is there; and the two that XML can't hold.
fn unseen(c: char) -> bool {
    matches!(u32::from(c),
        0x80..=0x9f | 0xad | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
        | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0xfffe | 0xffff
        | 0xe0000..=0xe0fff | 0xe000..=0xf8ff | 0xf_0000..=0x10_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(bytes: &[u8]) -> String {
        sanitise(bytes, Bounds::default())
    }

    #[test]
    fn tricks_become_visible() {
        assert_eq!(show(b"ok\n\x1b[31mred\x1b]0;title\x07"), "ok\n\\e[31mred\\e]0;title\\a");
        assert_eq!(show("a\u{9b}2Jb\u{202e}c\u{200b}".as_bytes()), "a\\u{9b}2Jb\\u{202e}c\\u{200b}");
        assert_eq!(show(b"one\r\ntwo\rforged\n\x80\xff\x00"), "one\ntwo\\rforged\n\\x80\\xff\\x00");
        assert_eq!(show("größe ✓\t1".as_bytes()), "größe ✓\t1");
        assert_eq!(line("two\nlines\n"), "two\\nlines");
    }

    #[test]
    fn long_things_are_cut_with_a_mark() {
        assert_eq!(sanitise(b"abcdef\ngh", Bounds { line: 3, total: 100 }), "a[... 3 left out ...]ef\ngh");
        assert_eq!(sanitise(b"abcdef", Bounds { line: 9, total: 2 }), "[... 4 bytes left out]\nef");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_passes(bytes in proptest::collection::vec(any::<u8>(), 0..300), wild in any::<String>()) {
            let mut bytes = bytes;
            bytes.extend(wild.as_bytes());
            let text = show(&bytes);
            prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !(c.is_control() || unseen(c))), "{:?}", text);
            prop_assert_eq!(text.split('\n').count(), bytes.split(|b| *b == b'\n').count());
        }
    }
}
