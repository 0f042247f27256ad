//! The sample specs, good and bad, and hostile input.

use super::origin::Origin;
use super::*;
use proptest::prelude::*;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn env(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/ada".to_owned()),
        "KEYS" => Some("/keys".to_owned()),
        "QUEUE" => Some("sup3r-secret".to_owned()),
        _ => None,
    }
}

fn samples(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("the samples are there")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

fn good(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs/good").join(name)
}

/// The report with this checkout's folder left out.
fn report(result: &Result<Loaded, Problems>) -> String {
    let text = match result {
        Ok(loaded) => loaded.warnings.render(false),
        Err(problems) => problems.render(false),
    };
    text.replace(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/"), "")
}

fn load_text(text: &[u8]) -> Result<Loaded, Problems> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(FILE);
    std::fs::write(&path, text).expect("writable");
    load(&path, &[], &env)
}

#[test]
fn good_specs_are_read() {
    let mut shown = String::new();
    for path in samples("good") {
        let loaded = load(&path, &[], &env);
        let name = path.file_name().expect("a name").to_string_lossy();
        let loaded = loaded.unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        let text = format!("{:#?}\n{:#?}", loaded.fleet, loaded.playbooks);
        let text = text.replace(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/"), "");
        writeln!(shown, "==== {name}\n{text}\n{}", report(&Ok(loaded))).expect("a string");
    }
    insta::assert_snapshot!("good", shown);
}

#[test]
fn bad_specs_are_told_in_full() {
    let files = samples("bad");
    assert!(files.len() >= 150, "only {} bad samples", files.len());
    let mut shown = String::new();
    for path in files {
        let result = load(&path, &[], &env);
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(result.is_err(), "{name} was taken for good");
        writeln!(shown, "==== {name}\n{}", report(&result)).expect("a string");
        assert!(!shown.contains("sup3r-secret"), "{name} shows a value of the environment");
        assert!(!shown.contains(problem::is_hostile), "{name} reaches the terminal unescaped");
    }
    insta::assert_snapshot!("bad", shown);
}

#[test]
fn another_reader_agrees_on_good_specs() {
    for path in samples("good") {
        let text = std::fs::read_to_string(&path).expect("readable");
        let value: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
        let fleet = load(&path, &[], &env).expect("good").fleet;
        for (key, ours) in [("name", fleet.name.as_str()), ("region", fleet.region.as_str())] {
            assert!(value[key].as_str().is_none_or(|theirs| theirs == ours), "{key} in {}", path.display());
        }
        let size = fleet.fleet.as_ref().map(|f| u64::from(f.size));
        assert_eq!(value["fleet"]["size"].as_u64(), size);
        let types: Vec<&str> = fleet.fleet.iter().flat_map(|f| f.types.iter().map(String::as_str)).collect();
        let other = value["fleet"]["types"].as_sequence().cloned().unwrap_or_default();
        assert_eq!(other.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>(), types);
        assert_eq!(value["queue"]["url"].as_str(), fleet.queue.as_ref().map(|q| q.url.as_str()));
        if let Some(port) = value["ssh"]["port"].as_u64() {
            assert_eq!(port, u64::from(fleet.ssh.port));
        }
    }
}

#[test]
fn the_example_lacks_nothing_but_what_is_built() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let problems = match load(&path, &[], &env) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    assert!(problems.iter().all(|p| p.code == "no-such-file"), "{problems}");
}

fn set(arguments: &[&str]) -> Result<Loaded, Problems> {
    let sets: Vec<Set> = arguments.iter().map(|&a| a.to_owned().into()).collect();
    load(&good("elsewhere.yaml"), &sets, &env)
}

#[test]
fn set_changes_the_tree_before_it_is_checked() {
    let fleet = set(&[
        "fleet.size=60",
        "fleet.accept.min=50",
        "tags.team=ops",
        "fleet.types=[m7g.large]",
        "fleet.subnets.0=subnet-0123456789abcdef0",
        "fleet.size=61",
    ])
    .expect("good")
    .fleet;
    let hosts = fleet.fleet.expect("hosts");
    assert_eq!((hosts.size, hosts.accept_min, hosts.types.as_slice()), (61, 50, ["m7g.large".to_owned()].as_slice()));
    assert_eq!(hosts.subnets[0].as_str(), "subnet-0123456789abcdef0");
    assert_eq!(fleet.tags.get("team"), Some("ops"));
    let escaped = set(&["worker={service: 'a\\x2db.service', process: crawl}"]).expect("good").fleet.worker;
    assert_eq!(escaped.expect("a worker").service, "a\\x2db.service");
}

#[test]
fn set_is_told_like_the_file() {
    let bad = set(&[
        "fleet.sise=3",
        "fleet.size=0",
        "no equals",
        "a..b=1",
        "name.first=x",
        "fleet.types.7=x",
        "fleet.types[7]=x",
        "fleet.types[1=x",
        "fleet.spot=null",
        "release.vars.x=",
        "fleet.size=",
        "done.completed=",
        "ssh={port: [}",
    ]);
    insta::assert_snapshot!(report(&bad));
}

#[test]
fn an_entry_of_a_list_is_set_by_either_form_of_its_path() {
    let types = |argument: &str| set(&[argument]).expect("good").fleet.fleet.expect("a fleet").types;
    assert_eq!(types("fleet.types[1]=m7g.large"), types("fleet.types.1=m7g.large"));
}

#[test]
fn size_and_pace_make_no_other_fleet() {
    let digest = |arguments: &[&str]| set(arguments).expect("good").fleet.digest;
    let base = digest(&[]);
    for same in [
        "fleet.size=60",
        "fleet.accept={min: 1}",
        "done.quiet=2m",
        "feed.rate=3/s",
        "ssh.parallel=9",
        "image.keep=9",
        "image.copy_to=[us-west-2]",
    ] {
        assert_eq!(digest(&[same]), base, "{same}");
    }
    for other in [
        "name=other",
        "region=us-east-1",
        "tags.a=b",
        "fleet.types=[m7g.large]",
        "ssh.port=22",
        "fleet.root.size=9GiB",
        "fleet.spot=1%",
        "fleet.user_data=playbooks/boot.sh",
        "image.name=other",
        "image.encrypt={kms_key: alias/fleet}",
        "fleet.expires=46m",
    ] {
        let sets = if other.starts_with("region") {
            vec![other, "queue.url=http://127.0.0.1/098765432109/q"]
        } else {
            vec![other]
        };
        assert_ne!(digest(&sets), base, "{other}");
    }
}

#[test]
fn what_the_host_unit_does_makes_another_host() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("writable");
    let head = "version: 1\nname: a\naccount: '123456789012'\nregion: us-east-1\nfleet: {size: 2, spot: 50%}\n";
    let digest = |worker: &str, drain: &str| {
        write(FILE, &format!("{head}worker: {{service: crawl, {worker}}}\n"));
        write("drain.yaml", drain);
        load(&dir.path().join(FILE), &[], &env).expect("good").fleet.digest
    };
    let base = digest("process: crawl.py", "");
    assert_eq!(digest("process: other", ""), base);
    let drained = "process: crawl.py, drain: drain.yaml";
    let mut all = vec![base, digest(drained, "- run: a\n"), digest(drained, "- run: b\n")];
    all.push(digest("process: crawl.py, restart_every: 6h", ""));
    all.push(digest("process: crawl.py, logs_to: s3://ops-logs/crawl", ""));
    let different: std::collections::HashSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:?}");
}

#[test]
fn a_playbook_is_its_bytes_and_those_it_puts() {
    let dir = tempfile::tempdir().expect("a folder");
    let spec =
        "version: 1\nname: a\naccount: '123456789012'\nregion: us-east-1\nrelease: {from: x, playbook: p.yaml}\n";
    std::fs::write(dir.path().join(FILE), spec).expect("writable");
    std::fs::write(dir.path().join("p.yaml"), "- put: {file: conf, to: /etc/conf}\n").expect("writable");
    let digest = |conf: &str| {
        std::fs::write(dir.path().join("conf"), conf).expect("writable");
        let loaded = load(&dir.path().join(FILE), &[], &env).expect("good");
        loaded.playbooks.deploy.expect("a playbook").digest
    };
    assert_eq!(digest("a"), digest("a"));
    assert_ne!(digest("a"), digest("b"));
}

#[test]
fn needs_are_told_with_an_example() {
    let fleet = load(&good("minimal.yaml"), &[], &env).expect("good").fleet;
    let mut fleet = fleet;
    fleet.file = PathBuf::from("fleet.yaml");
    assert!(require(&fleet, &[]).is_ok());
    let problems = require(&fleet, &[Need::Hosts, Need::Queue]).expect_err("both are missing");
    insta::assert_snapshot!(problems.render(false));
    let full = load(&good("full.yaml"), &[], &env).expect("good").fleet;
    let all = [Need::Template, Need::Verify, Need::Hosts, Need::Release, Need::Worker, Need::Queue, Need::Feed];
    assert!(require(&full, &all).is_ok());
}

#[test]
fn a_missing_file_and_a_folder_are_problems() {
    let missing = load(Path::new("/nonexistent/fleet.yaml"), &[], &env).expect_err("missing");
    insta::assert_snapshot!(missing.render(false), @r"
    /nonexistent/fleet.yaml: error[no-such-file]: there is no such file
      = help: name it with -f FILE, or set FLEETWRIGHT_FILE
    ");
    let dir = tempfile::tempdir().expect("a folder");
    let folder = load(dir.path(), &[], &env).expect_err("a folder");
    assert_eq!(folder.iter().map(|p| p.code).collect::<Vec<_>>(), ["unreadable"]);
}

#[test]
fn the_nearest_spec_upwards_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let deep = dir.path().join("a/b/c");
    std::fs::create_dir_all(&deep).expect("folders");
    std::fs::write(dir.path().join("a").join(FILE), "").expect("writable");
    assert_eq!(find(&deep), Some(dir.path().join("a").join(FILE)));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let problems = load(&samples("bad")[0], &[], &env).expect_err("bad");
    let coloured = problems.render(true);
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').expect("an escape ends").1;
    }
    plain.push_str(rest);
    let tidy = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(tidy(&plain), tidy(&problems.render(false)));
}

#[test]
fn hostile_input_is_refused_quickly() {
    let head = "version: 1\nname: bad\naccount: '123456789012'\nregion: us-east-1\n";
    let lines = |line: &str| format!("{head}{}", format!("{line}\n").repeat((1 << 20) / (line.len() + 1) - 2));
    let bomb = |inner: &str| {
        let mut text = format!("{head}a0: &a0 {inner}\n");
        for n in 1..30 {
            let alias = format!("*a{} ", n - 1);
            writeln!(text, "a{n}: &a{n} [{}]", vec![alias; 9].join(", ")).expect("a string");
        }
        text
    };
    let many = |count: usize, line: fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().concat();
    let inputs = [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(5_000),
        "? ".repeat(5_000),
        many(5_000, |n| format!("{}a:\n", " ".repeat(n))),
        bomb("x"),
        bomb(&format!("\"{}\"", "x".repeat(16_000))),
        lines("- x"),
        lines("x: y"),
        many(90_000, |n| format!("k{n}: y\n")),
        many(30_000, |n| format!("k{n}: &b{n} y\n")),
        lines("&a"),
        lines("#"),
        lines("%YAML 1.2"),
        lines("---"),
        lines("'"),
        lines("|"),
        "x".repeat(2 << 20),
        "\u{202e}".repeat(300_000),
        "\0".repeat(1 << 20),
        "\n".repeat(1 << 20),
    ];
    for (n, input) in inputs.iter().enumerate() {
        let started = Instant::now();
        let result = load_text(input.as_bytes());
        let text = result.expect_err("hostile").render(true);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(2), "input {n} took {took:?}");
        assert!(text.len() < 100_000, "input {n} makes a report of {} bytes", text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_make_problems(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let problems = load_text(&bytes).expect_err("random bytes are no spec");
        prop_assert!(!problems.is_empty());
        let escaped = problems.render(false).contains('\u{1b}');
        prop_assert!(!escaped);
    }

    #[test]
    fn yaml_like_text_never_panics(text in "[-a-c:{}\\[\\]&*!|>'\"#%@,? \\n\\t]{0,120}") {
        let problems = load_text(text.as_bytes()).expect_err("no spec");
        prop_assert!(!problems.render(false).is_empty());
    }

    #[test]
    fn a_mutated_spec_is_read_or_told(at in 0usize..3000, cut in 0usize..40, put in "\\PC{0,6}") {
        let text = std::fs::read_to_string(good("full.yaml")).expect("readable");
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((start + cut).min(text.len()));
        let text = format!("{}{put}{}", &text[..start], &text[end..]);
        if let Err(problems) = load_text(text.as_bytes()) {
            for problem in &problems {
                let place = problem.place.as_ref();
                prop_assert!(place.is_none_or(|p| p.line >= 1 && p.line <= text.lines().count() + 1));
            }
            prop_assert!(!problems.render(true).is_empty());
        }
    }
}

#[test]
fn every_value_knows_what_it_comes_from() {
    let sets = [
        Set::from("fleet.size=60".to_owned()),
        Set { by: SetBy::Variable, text: "tags={team: ops}".to_owned() },
        Set { by: SetBy::Region, text: "region=eu-west-1".to_owned() },
        Set::from("queue.url=https://sqs.eu-west-1.amazonaws.com/123456789012/crawl".to_owned()),
        Set::from("release.vars={workers: 1, bucket: b, password: hunter2}".to_owned()),
        Set::from("done.completed.run=psql -U me:hunter2 -c x".to_owned()),
    ];
    let values = load(&good("full.yaml"), &sets, &env).expect("good").values;
    assert!(!format!("{values:?}").contains("hunter2"), "{values:#?}");
    let of = |path: &str| values.iter().find(|value| value.path == path).unwrap_or_else(|| panic!("no {path}"));
    let told = ["fleet.size", "tags", "region", "release.vars", "done.completed.run", "name"]
        .map(|path| (of(path).value.as_str(), of(path).from));
    let expected = [
        ("60", Origin::Set),
        ("{team: ops}", Origin::FleetwrightSet),
        ("eu-west-1", Origin::Region),
        ("workers, bucket, password", Origin::Set),
        ("psql ...", Origin::Set),
        (of("name").value.as_str(), Origin::File),
    ];
    assert_eq!(told, expected);
    let (file, line) = of("name").place.as_deref().and_then(|place| place.rsplit_once(':')).expect("a place");
    let text = std::fs::read_to_string(file).expect("the file");
    let at: usize = line.parse().expect("a line");
    assert!(text.lines().nth(at - 1).is_some_and(|line| line.starts_with("name:")), "{file}:{line}");
}

#[test]
fn what_the_environment_says_is_never_a_value() {
    for path in samples("good") {
        let loaded = load(&path, &[], &|_| Some("from-the-environment".to_owned()));
        let values = loaded.map(|loaded| loaded.values).unwrap_or_default();
        for value in &values {
            assert!(!value.value.contains("from-the-environment"), "{}: {value:?}", path.display());
            assert_eq!(value.from == Origin::Environment, !value.variables.is_empty(), "{value:?}");
        }
    }
}
