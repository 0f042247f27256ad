//! What a paper shows of a command's output, held against what came: the same but for ids, times, sums of money and the
//! order of hosts.

use regex::Regex;
use std::sync::LazyLock;

/// What is another one each time, and what stands for it.
static OTHERS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "RUN"),
        (r"\b(i|ami|lt|snap|vol|subnet)-[0-9a-f]{17}\b", "$1-ID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "WHEN"),
        (r"\b127\.\d+\.\d+\.\d+(:\d+)?", "ADDRESS"),
        (r"ssh\.port(=| +)\d+", "ssh.port PORT"),
        (r"\$\d+\.\d+( to \$\d+\.\d+)?", "$$SUM"),
        (r"(fleetwright-sim)-\d+", "$1-PID"),
        (r"\(((\d+h)?(\d+m)?\d+(\.\d+)?(ms|s)|\d+h\d+m)\)", "(TIME)"),
        (r"(time +|WHEN +)\d[0-9hms.]*", "${1}TIME"),
        (r"\b(crawl)-[0-9a-f]{8}\b", "$1-RUN"),
        (r"\b[0-9a-f]{12}\b", "DIGEST"),
        (r"\b\d+ calls: .*", "CALLS"),
        (r" {2,}", "  "),
    ]
    .map(|(pattern, other)| (Regex::new(pattern).unwrap(), other))
    .into()
});

/// What names a thing of one run: wherever a page shows the thing, it shows the same name.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    let (uuid, digest) = (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"\b[0-9a-f]{12}\b");
    let things = r"\b(?:i|ami|lt|snap|vol|subnet)-[0-9a-f]{17}\b|\bcrawl-[0-9a-f]{8}\b|\bfleetwright-sim-\d+\b";
    // Ports that the system gives away have five digits.
    let places = r"\b127\.\d+\.\d+\.\d+\b|\b[1-6]\d{4}\b";
    Regex::new(&format!("{uuid}|{things}|{places}|{digest}")).unwrap()
});

/// Lines that come as often as there is time for.
const MOMENTARY: [&str; 3] = ["fed  ", "queue  ", "retry  "];

/// The lines that must be equal, each with the line as it is; neighbours that tell of hosts come in any order.
fn lines(text: &str) -> Vec<(String, &str)> {
    let line = |line: &str| OTHERS.iter().fold(line.to_owned(), |line, (p, to)| p.replace_all(&line, *to).into_owned());
    let mut lines: Vec<(String, &str)> = text.trim_end().lines().map(|as_is| (line(as_is), as_is)).collect();
    lines.retain(|(line, _)| !MOMENTARY.iter().any(|start| line.starts_with(start)));
    for group in lines.chunk_by_mut(|(a, _), (b, _)| a.starts_with("host  ") && b.starts_with("host  ")) {
        group.sort();
    }
    lines
}

fn essence(text: &str) -> Vec<String> {
    lines(text).into_iter().map(|(line, _)| line).collect()
}

/// The names that are shown, each with the one that came in its place, of texts that are the same.
pub(super) fn names<'a>(shown: &'a str, came: &'a str) -> Vec<(&'a str, &'a str)> {
    let both = lines(shown).into_iter().zip(lines(came));
    let of = |line: &'a str| NAMES.find_iter(line).map(|name| name.as_str());
    both.flat_map(|((_, shown), (_, came))| of(shown).zip(of(came))).collect()
}

/// The lines to show: of those that come as often as there is time for, the first and the last of a row.
pub(super) fn brief(text: &str) -> Vec<&str> {
    let kind = |line: &str| MOMENTARY.iter().position(|start| line.starts_with(start));
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let rows = lines.chunk_by(|a, b| kind(a).is_some() && kind(a) == kind(b));
    rows.flat_map(|row| row.iter().take(1).chain(row.iter().skip(1).last())).copied().collect()
}

/// Whether the text that is shown can be what came. A line `...` stands for any number of lines.
pub(super) fn same(shown: &str, came: &str) -> bool {
    fn fits(shown: &[String], came: &[String]) -> bool {
        match shown {
            [] => came.is_empty(),
            [first, rest @ ..] if first == "..." => (0..=came.len()).any(|n| fits(rest, &came[n..])),
            [first, rest @ ..] => came.first() == Some(first) && fits(rest, &came[1..]),
        }
    }
    fits(&essence(shown), &essence(came))
}

#[test]
fn only_what_varies_may_differ() {
    let shown = "run       launch crawl: run 01a1febd-eeb1-7c21-ac56-6e54961db063\n\
                 host      #0 i-005d7305eebbcccc8 ok (0.2s)\nhost      #1 i-03e8876e92562018d ok (1m02s)\n";
    let came = "run       launch crawl: run 01a1febd-eeb1-7c21-ac56-6e54961db064\nfed       3 items\n\
                host      #1 i-13e8876e92562018d ok (2.2s)\nhost      #0 i-105d7305eebbcccc8 ok (3s)\n";
    assert!(same(shown, came));
    assert!(!same(shown, &came.replace("#0", "#2")));
    assert!(!same(shown, &format!("{came}more\n")));
    assert!(same("run  a\n...\nend\n", "run a\nx\ny\nend\n") == same("run  a\n...\nend\n", "run a\nend\n"));
    assert_eq!(brief("fed       1\nfed       2\nfed       3\nend\n"), ["fed       1", "fed       3", "end"]);
    assert!(same("...\nend", "x\nend") && !same("...\nend", "x\nend\ny"));
    let names = names(shown, came);
    assert_eq!(names[0], ("01a1febd-eeb1-7c21-ac56-6e54961db063", "01a1febd-eeb1-7c21-ac56-6e54961db064"));
    assert_eq!(
        names[1..],
        [("i-005d7305eebbcccc8", "i-105d7305eebbcccc8"), ("i-03e8876e92562018d", "i-13e8876e92562018d")]
    );
}
