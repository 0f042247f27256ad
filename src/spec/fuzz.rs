//! Fuzzing on stable: seeds from the sample files, mutations that know lines, words and indentation, and a corpus that grows
//! by what brings a new answer. A few thousand executions in every test run, any number by `tests/fuzz.sh`.

use super::check::Check;
use super::load::{judge, judge_playbook};
use super::playbook::FACTS;
use super::problem::{Problems, is_hostile};
use super::read::Role;
use super::set::Set;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Executions of each target in an ordinary test run.
const FEW: u64 = 1_500;
/// Most inputs that are kept, and the longest of them in bytes.
const KEPT: usize = 4_000;
const LONGEST: usize = 20_000;

/// Words that readers look at closely.
const WORDS: &[&str] = &[
    "",
    "~",
    "null",
    "true",
    "yes",
    "on",
    "0",
    "-1",
    "1e9",
    "0x10",
    "040",
    "9999999999999999999999",
    ".nan",
    "1.5h",
    "22:22",
    "90%",
    "0.9",
    "$0.06/h",
    "30GiB",
    "3/s",
    "[",
    "]",
    "{",
    "}",
    "[]",
    "{}",
    "[a, b]",
    "{a: b}",
    ": ",
    "- ",
    "? ",
    "&a",
    "*a",
    "<<: *a",
    "!!str x",
    "|",
    ">-",
    "'",
    "\"",
    "\"\\u202e\"",
    "\\",
    "#",
    "---",
    "...",
    "%YAML 1.2",
    "\t",
    "\r\n",
    "\n",
    "  ",
    "\u{feff}",
    "\u{a0}",
    "\u{202e}",
    "\0",
    "é",
    "\u{1f680}",
    "${HOME}",
    "${QUEUE}",
    "${UNSET}",
    "{{ release }}",
    "{{ nobody }}",
    "{{",
    "}}",
    "{% if a %}",
    "{% endif %}",
    "{# x #}",
    "{{ 1/0 }}",
    "us-east-1a",
    "i-0123456789abcdef0",
    "arn:aws:sqs:us-east-1:123456789012:q",
    "https://sqs.us-east-1.amazonaws.com/123456789012/q",
    "10.0.0.5",
    "ada@host:22",
    "fe80::1",
    "../x",
    "/",
    "~/x",
    "s3://x/y",
    "version",
    "name",
    "fleet",
    "size",
    "hosts",
    "address",
    "queue",
    "url",
    "steps",
    "run",
    "put",
    "text",
    "to",
    "when",
    "vars",
    "template",
    "instance",
];

/// Makes inputs from inputs.
pub(crate) struct Mutator {
    /// What chance decides.
    pub(crate) rng: fastrand::Rng,
    /// What inputs are made of.
    pub(crate) corpus: Vec<Vec<u8>>,
    seen: HashSet<u64>,
}

impl Mutator {
    /// Starts from seeds.
    pub(crate) fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), corpus, seen: HashSet::new() }
    }

    fn pick(&mut self) -> Vec<u8> {
        let at = self.rng.usize(..self.corpus.len());
        self.corpus[at].clone()
    }

    /// The next input: one of the corpus, changed a few times.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.pick();
        for _ in 0..=self.rng.u8(0..6) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    /// Keeps an input whose answer was never given before.
    pub(crate) fn learn(&mut self, input: Vec<u8>, answer: u64) {
        if self.corpus.len() < KEPT && self.seen.insert(answer) {
            self.corpus.push(input);
        }
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.rng.usize(..=input.len());
        match self.rng.u8(0..10) {
            0 => insert(input, at, &[self.rng.u8(..)]),
            1 if at < input.len() => input[at] ^= 1 << self.rng.u8(0..8),
            2 => drop(input.drain(at..(at + self.rng.usize(1..12)).min(input.len()))),
            3 | 4 => {
                let word = WORDS[self.rng.usize(..WORDS.len())];
                insert(input, at, word.as_bytes());
            }
            // A whole value: what stands between a colon, a comma or a dash and the end of it.
            5 | 6 => {
                let word = WORDS[self.rng.usize(..WORDS.len())];
                let Some(start) = input[at..].iter().position(|b| b" ".contains(b)).map(|n| at + n + 1) else { return };
                let end = input[start..].iter().position(|b| b"\n,}]".contains(b)).map_or(input.len(), |n| start + n);
                drop(input.splice(start..end, word.bytes()));
            }
            7 => {
                let (from, to) = (line_start(input, at), line_end(input, at));
                let line = input[from..to].to_vec();
                if self.rng.bool() { insert(input, from, &line) } else { drop(input.drain(from..to)) }
            }
            8 => {
                let from = line_start(input, at);
                if self.rng.bool() {
                    insert(input, from, b"  ");
                } else if input[from..].starts_with(b" ") {
                    input.remove(from);
                }
            }
            _ => {
                let other = self.pick();
                let start = line_start(&other, self.rng.usize(..=other.len()));
                let end = (start + self.rng.usize(1..400)).min(other.len());
                let from = line_start(input, at);
                insert(input, from, &other[start..line_end(&other, end)]);
            }
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    drop(input.splice(at..at, bytes.iter().copied()));
}

fn line_start(input: &[u8], at: usize) -> usize {
    input[..at].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
}

fn line_end(input: &[u8], at: usize) -> usize {
    input[at..].iter().position(|b| *b == b'\n').map_or(input.len(), |n| at + n + 1)
}

/// How many executions were asked for, and the seed.
pub(crate) fn wanted() -> (u64, u64) {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    (number("FLEETWRIGHT_FUZZ").unwrap_or(FEW), number("FLEETWRIGHT_FUZZ_SEED").unwrap_or(1))
}

/// Runs a target over mutated inputs; what it answers decides whether the input is kept. Fails with the input that broke it.
pub(crate) fn fuzz(name: &str, corpus: Vec<Vec<u8>>, mut target: impl FnMut(&[u8], &mut fastrand::Rng) -> u64) {
    let (executions, seed) = wanted();
    let begun = Instant::now();
    let mut mutator = Mutator::new(seed, corpus);
    for n in 0..executions {
        let input = mutator.next();
        let mut rng = mutator.rng.fork();
        match catch_unwind(AssertUnwindSafe(|| target(&input, &mut rng))) {
            Ok(answer) => mutator.learn(input, answer),
            Err(cause) => {
                let input = input.escape_ascii();
                let why = cause.downcast_ref::<String>().map_or("see above", String::as_str);
                panic!("{name}: execution {n} of seed {seed} broke it: {why}\n{input}")
            }
        }
    }
    let kept = mutator.corpus.len();
    let line = format!("{name}: {executions} executions, {kept} inputs kept, {:.1} s", begun.elapsed().as_secs_f64());
    std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes()).expect("stderr");
}

fn samples(folders: &[&str]) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("the samples are there"))
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    let read = |path: PathBuf| std::fs::read(path).expect("readable");
    files.into_iter().map(read).filter(|bytes| bytes.len() < LONGEST).collect()
}

fn env(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/ada".to_owned()),
        "QUEUE" => Some("sup3r-secret".to_owned()),
        _ => None,
    }
}

/// What must hold of every report; a digest of the kinds of problems in it.
fn told(problems: &Problems, input: &[u8], rng: &mut fastrand::Rng) -> u64 {
    let lines = input.split(|b| *b == b'\n').count();
    let mut kinds = BTreeSet::new();
    for problem in problems {
        assert!(!problem.message.is_empty() && !problem.code.is_empty());
        if let Some(place) = problem.place.as_ref().filter(|_| !problem.file.starts_with("--set")) {
            assert!(place.line >= 1 && place.line <= lines + 1 && place.column >= 1, "{problem:?}");
            assert!(place.start <= place.end && place.end <= input.len() * 3 + 3, "{problem:?}");
        }
        let path: String = problem.message.split('`').nth(1).unwrap_or_default().chars().take(24).collect();
        kinds.insert((problem.code, path.replace(|c: char| c.is_ascii_digit(), "")));
    }
    // Drawing is the slowest part: one report in eight shows whether it holds.
    if rng.u8(0..8) == 0 {
        let text = problems.render(rng.bool());
        assert!(!text.contains("sup3r-secret"), "the environment is shown");
        assert!(!text.contains(|c| is_hostile(c) && c != '\u{1b}'), "something hostile is shown");
    }
    let mut all = String::new();
    for (code, path) in kinds.iter().take(3) {
        write!(all, "{code} {path};").expect("a string");
    }
    u64::from(crc32fast::hash(all.as_bytes()))
}

#[test]
fn fuzzed_specs_are_read_or_told() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs/good");
    let sets =
        ["fleet.size=60", "hosts=[a]", "tags={a: b}", "fleet={", "a.b.c.d=1", "fleet.types.0=x", "=", "version=~"];
    fuzz("specs", samples(&["tests/specs/good", "tests/specs/bad", "."]), |input, rng| {
        let mut check = Check::new(dir.clone(), &env);
        let set = (rng.u8(0..4) == 0).then(|| Set::from(sets[rng.usize(..sets.len())].to_owned()));
        let fleet = judge(&mut check, Path::new("fleet.yaml"), input.to_vec(), set.as_slice());
        if let Some((fleet, _)) = fleet.filter(|_| !check.problems.has_errors()) {
            let size = fleet.fleet.as_ref().map_or(1, |hosts| hosts.size);
            assert!((1..=10_000).contains(&size), "size {size}");
            assert!(fleet.fleet.is_none() || fleet.in_aws(), "a launch without an account");
            let json = serde_json::to_string(&fleet).expect("a spec can be written");
            assert_eq!(serde_json::from_str::<super::Fleet>(&json).expect("and read again"), fleet);
        }
        told(&check.problems.sorted(), input, rng)
    });
}

#[test]
fn fuzzed_playbooks_are_read_or_told() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs/good/playbooks/fuzzed.yaml");
    fuzz(
        "playbooks",
        samples(&["tests/specs/good/playbooks", "tests/specs/bad/playbooks", "playbooks"]),
        |input, rng| {
            let mut check = Check::new(PathBuf::from("."), &env);
            check.names = FACTS.iter().map(|fact| (*fact).to_owned()).collect();
            let playbook = judge_playbook(&mut check, Role::Deploy, &path, input.to_vec());
            if let Some(playbook) = playbook.filter(|_| !check.problems.has_errors()) {
                let names: HashSet<&str> = playbook.steps.iter().map(|step| step.name.as_str()).collect();
                assert_eq!(names.len(), playbook.steps.len(), "two steps of one name");
                assert_eq!(playbook.digest.len(), 64);
            }
            told(&check.problems.sorted(), input, rng)
        },
    );
}
