//! What to type instead where a text is not YAML at all: the usual slips, told from the line they are on.

/// The tab that a parser means which has found one at byte `at` of `text`: some tell where the line before began. Tabs count
/// in indentation only.
pub(crate) fn tab(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at.min(text.len()));
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let mut line = start;
    for whole in text[start..].split_inclusive('\n') {
        let indentation = whole.len() - whole.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = whole[..indentation].find('\t') {
            return line + tab;
        }
        line += whole.len();
    }
    at
}

#[test]
fn the_tab_is_found_where_it_stands() {
    assert_eq!(tab("a:\n  b: 1\n\tc: 2\n", 4), 10);
    assert_eq!(tab("a:\n  \tb: 1\n", 5), 5);
    assert_eq!(tab("a: x\ty\n", 3), 3, "one between words is none of indentation");
}

/// What is wrong at byte `at` of `text`, where the parser's own word for it would mislead.
pub(crate) fn reason<'w>(text: &str, at: usize, why: &'w str) -> &'w str {
    if misses_value(text, at) { "a value is missing between two commas" } else { why }
}

/// Whether the comma at byte `at` follows another one.
fn misses_value(text: &str, at: usize) -> bool {
    let (before, after) = text.split_at(text.floor_char_boundary(at.min(text.len())));
    after.starts_with(',') && before.trim_end().ends_with(',')
}

/// What was likely done wrong at byte `at` of `text`; `why` is the parser's own word for it.
pub(crate) fn help(text: &str, at: usize, why: &str) -> Option<String> {
    let at = text.floor_char_boundary(at.min(text.len()));
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let before = &text[start..at];
    let word = line.trim_start();
    let help = if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| word.starts_with(mark)) {
        "a merge left this behind: keep one side and delete the marks"
    } else if word.starts_with("//") || word.starts_with("/*") {
        "a comment starts with `#`"
    } else if before.ends_with('\t') || why.contains("tab") {
        "indent with spaces, not tabs"
    } else if line.contains("{{") && !line.contains("\"{{") {
        "a value with {{ ... }} needs quotes around all of it"
    } else if why.contains("simple key") && word.starts_with('-') {
        "a space belongs after every dash"
    } else if misses_value(text, at) {
        "leave one of the two commas out"
    } else if why.contains("escape") {
        "in double quotes a backslash starts an escape: use single quotes, or write it twice"
    } else if let Some(first @ ('@' | '`' | '%')) = text[at..].chars().next() {
        return Some(format!("a value that starts with `{first}` needs quotes"));
    } else if why.contains("quoted scalar") {
        "is the quote before this line closed?"
    } else if why.contains("mapping values") && before.contains(": ") {
        "a value with `: ` in it needs quotes"
    } else if why.contains("mapping values") {
        "a key that has a value can't have keys below it: is this line, or the one above, indented wrongly?"
    } else if why.contains("block mapping") || why.contains("block collection") || why.contains("indentation") {
        "keys of one section start in the same column"
    } else if why.contains("simple key") {
        "a key is followed by a colon and a space"
    } else {
        return None;
    };
    Some(help.to_owned())
}
