//! The schema against the reader, value by value: neither takes a text that the other refuses.

use super::sample::{Folder, Sample, all, errors};
use super::{Form, Kind};
use crate::spec::schema::property;

/// Texts tried for each field.
const TRIES: usize = 40;

/// Characters that are put in: some of every class that a form may know.
const MARKS: [char; 19] =
    ['a', 'Z', '0', '9', '-', '_', '.', '/', ':', '$', '%', '{', '}', ' ', '@', 'm', 's', 'é', '('];

/// The example with a character or two removed, put in or changed.
fn mutated(random: &mut fastrand::Rng, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(0..3) {
        let new = MARKS[random.usize(0..MARKS.len())];
        let at = random.usize(0..=chars.len());
        match random.u8(0..3) {
            0 => chars.insert(at, new),
            1 if at < chars.len() => chars[at] = new,
            _ if at < chars.len() => drop(chars.remove(at)),
            _ => chars.push(new),
        }
    }
    chars.into_iter().collect()
}

/// How a text stands in a field's value.
type Wrap = fn(&str) -> String;

/// For kinds that are texts, or hold them: whether a schema can tell all that is wrong with one, and how it stands there.
fn text_of(kind: &Kind) -> Option<(bool, Wrap)> {
    let plain: Wrap = str::to_owned;
    match kind {
        Kind::Text(_) => Some((true, plain)),
        Kind::Duration { .. } | Kind::Percent | Kind::Gib { .. } | Kind::Price | Kind::Rate => Some((false, plain)),
        Kind::List { of: Kind::Text(_), .. } => Some((true, |text| format!("[{text}]"))),
        Kind::Map { of: Kind::Text(Form { .. }), .. } => Some((true, |text| format!("{{k: {text}}}"))),
        _ => None,
    }
}

/// What no pattern tells in full: names, IPv4 and IPv6 addresses in one; cron's bounds; time zones.
const LOOSE: [&str; 4] = ["hosts.address", "feed.rate.peak_hours", "recycle.windows.at", "recycle.windows.zone"];

#[test]
fn schema_and_reader_take_the_same_texts() {
    let folder = Folder::new();
    let mut random = fastrand::Rng::with_seed(7);
    let mut taken = 0;
    for (document, field) in all() {
        let Some((exact, wrap)) = text_of(&field.kind) else { continue };
        let schema = jsonschema::draft202012::new(&property(document, field)).expect("a schema");
        let example = field.example.trim_matches(['[', ']', '"']).split([',', '}']).next().unwrap_or_default();
        let example = example.rsplit("{team: ").next().unwrap_or_default();
        for _ in 0..TRIES {
            let text = mutated(&mut random, example);
            let quoted = serde_json::to_string(&text).expect("a text");
            let sample = Sample::with(document, field, &wrap(&quoted));
            let found = errors(&folder.read(document, &sample));
            let by_reader = !found.iter().any(|(code, _)| ["bad-value", "empty", "environment"].contains(code));
            let value: serde_json::Value = serde_yaml::from_str(&wrap(&quoted)).expect("YAML");
            let by_schema = schema.is_valid(&value);
            let taken_by_reader = by_reader && !found.iter().any(|(code, _)| *code == "out-of-range");
            assert!(by_schema || !taken_by_reader, "{}: the reader takes {text:?}, the schema does not", field.path);
            // A schema can't compute: the bounds of a duration, a size in whole GiB, a price above zero.
            let exact = exact && !LOOSE.contains(&field.path);
            assert!(by_reader || !by_schema || !exact, "{}: {text:?} is for the schema only: {found:?}", field.path);
            taken += usize::from(by_reader);
        }
    }
    assert!(taken > 300, "only {taken} were taken");
}
