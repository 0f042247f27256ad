//! Makes text from hosts and from AWS safe to print: a terminal must never act on it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a terminal may act on this character, or show it as something it is not.
///
/// C0 and C1 controls and DEL drive the terminal; the bidirectional controls reorder what is read (CVE-2021-42574);
/// line separators break a line that was meant as one; the zero-width and tag characters can't be seen; U+FFFE and U+FFFF
/// are no characters, and XML can't hold them.
fn dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends one character in a form that can be read: `\n`, `\x1b`, `\u{202e}`.
fn show(c: char, out: &mut String) {
    let code = u32::from(c);
    // Writing to a String can't fail.
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if code < 0x80 => write!(out, "\\x{code:02x}").unwrap_or_default(),
        _ => write!(out, "\\u{{{code:x}}}").unwrap_or_default(),
    }
}

/// One line of text: every dangerous character is shown, line ends too.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(dangerous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if dangerous(c) { show(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Several lines of text: line ends stay, a tab becomes four blanks, everything else is shown as in [`line()`].
pub fn block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let part = part.strip_suffix('\r').unwrap_or(part).replace('\t', "    ");
        out.push_str(&line(&part));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(line("plain äöü 日本"), "plain äöü 日本");
        assert_eq!(line("\x1b]0;owned\x07 \u{9b}2J \x7f"), "\\x1b]0;owned\\x07 \\u{9b}2J \\x7f");
        assert_eq!(line("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(line("user\u{202e}txt.exe\u{2066}\u{200b}"), "user\\u{202e}txt.exe\\u{2066}\\u{200b}");
        assert_eq!(block("one\r\ntwo\tx\n\x1b[31mred"), "one\ntwo    x\n\\x1b[31mred");
    }

    proptest! {
        #[test]
        fn what_comes_out_is_safe_and_stays_so(text in any::<String>()) {
            let once = line(&text).into_owned();
            prop_assert!(!once.contains(dangerous));
            prop_assert_eq!(line(&once), once.as_str());
            let lines = block(&text);
            prop_assert!(!lines.replace('\n', "").contains(dangerous));
            prop_assert_eq!(lines.matches('\n').count(), text.matches('\n').count());
        }
    }
}
