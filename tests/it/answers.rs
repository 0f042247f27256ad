//! What verbs print on standard output: one answer in the form that was asked for, and nothing that its published schema
//! does not know. `docs/schemas` is held against the types, and every answer of every test against `docs/schemas`.

use crate::env::{Cloud, IMAGE, binary, expect, repo};
use fleetwright::report::answer::{schema_of, schemas};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The published schemas, ready to be used.
fn published(name: &str) -> &'static Validator {
    static ALL: OnceLock<BTreeMap<&str, Validator>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let read = |name: &str| std::fs::read_to_string(repo(&format!("docs/schemas/{name}.json"))).unwrap();
        let names = schemas().into_iter().map(|(name, _)| name);
        names
            .map(|name| {
                let schema: Value = serde_json::from_str(&read(name)).unwrap();
                let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema);
                (name, validator.unwrap_or_else(|e| panic!("{name}: {e}")))
            })
            .collect()
    });
    &all[name]
}

#[track_caller]
pub(crate) fn valid(name: &str, value: &Value) {
    let errors: Vec<String> =
        published(name).iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "docs/schemas/{name}.json does not know this: {errors:#?}\n{value:#}");
}

/// What was asked for, read back from the arguments: the form of the output and the name of the answer's schema.
fn asked(command: &Command) -> Option<(String, &'static str)> {
    let words: Vec<&str> = command.get_args().filter_map(|word| word.to_str()).collect();
    let words: Vec<&str> = words.split(|word| *word == "--").next()?.to_vec();
    let form = words.windows(2).rfind(|pair| pair[0] == "-o").map_or("table", |pair| pair[1]);
    let with_value =
        ["-f", "--state-dir", "-o", "--set", "--region", "--endpoint-url", "--timeout", "--color", "--profile"];
    let mut rest = words.iter();
    let verb = loop {
        match *rest.next()? {
            flag if with_value.contains(&flag) => drop(rest.next()),
            flag if flag.starts_with('-') => {}
            verb @ ("sim" | "runs" | "images") => break format!("{verb}-{}", rest.next()?),
            "status" if words.contains(&"--why") => break "status-why".to_owned(),
            "down" if words.contains(&"--only") => break "scale".to_owned(),
            verb => break verb.to_owned(),
        }
    };
    Some((form.to_owned(), schema_of(&verb, words.contains(&"--dry-run"))?))
}

/// Holds what a command printed against the schema of its answer. A verb that failed may have none, one that went well has
/// exactly one.
#[track_caller]
pub(crate) fn hold(command: &Command, output: &Output) {
    if !command.get_program().to_string_lossy().ends_with("fleetwright") {
        return;
    }
    let Some((form, schema)) = asked(command) else { return };
    let text = std::str::from_utf8(&output.stdout).unwrap();
    if form != "table" {
        assert!(output.status.code() != Some(0) || !text.is_empty(), "{command:?}: no answer");
    }
    let resumes = schema == "resume" && !text.contains("\"run\":null") && !text.contains("run: null");
    let answer = |value: &Value| {
        // What `resume` goes on with answers for itself.
        if resumes { assert_eq!(value["schema_version"], 1, "{value:#}") } else { valid(schema, value) }
    };
    match form.as_str() {
        "json" if !text.is_empty() => answer(&serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))),
        "yaml" if !text.is_empty() => answer(&serde_yaml::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))),
        "jsonl" => {
            let lines: Vec<Value> =
                text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
            for (line, left) in lines.iter().zip((0..lines.len()).rev()) {
                if line.get("event").is_some() {
                    valid("event", line);
                } else {
                    assert_eq!(left, 0, "the answer is the last line: {line}");
                    answer(line);
                }
            }
        }
        _ => {}
    }
}

/// `INSTA_UPDATE=always` writes them anew.
#[test]
fn the_published_schemas_are_those_of_the_types() {
    let folder = repo("docs/schemas");
    let mut names: Vec<String> = Vec::new();
    for (name, schema) in schemas() {
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, &text).unwrap();
        }
        let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(on_disk == text, "docs/schemas/{name}.json is out of date: INSTA_UPDATE=always writes it anew");
        assert!(jsonschema::meta::is_valid(&schema), "{name} is no JSON Schema");
        names.push(format!("{name}.json"));
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "docs/schemas/{name} belongs to no answer");
    }
}

/// Every field is explained, down to the last type.
#[test]
fn the_published_schemas_explain_every_field() {
    fn undescribed(path: &str, schema: &Value, found: &mut Vec<String>) {
        let fields = schema["properties"].as_object();
        // A variant with content is an object of one field, and it is the variant that is explained.
        let variant = schema.get("description").is_some() && fields.is_some_and(|fields| fields.len() == 1);
        for (name, field) in fields.into_iter().flatten() {
            let at = format!("{path}.{name}");
            if field.get("description").is_none() && field.get("const").is_none() && !variant {
                found.push(at.clone());
            }
            undescribed(&at, field, found);
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            for part in schema[key].as_array().into_iter().flatten() {
                undescribed(path, part, found);
            }
        }
        // `Duration` is the standard library's: seconds and nanoseconds.
        for (name, part) in schema["$defs"].as_object().into_iter().flatten().filter(|(name, _)| *name != "Duration") {
            undescribed(&format!("{path}#{name}"), part, found);
        }
    }
    let mut found = Vec::new();
    for (name, schema) in schemas() {
        undescribed(name, &schema, &mut found);
    }
    assert!(found.is_empty(), "no description: {found:?}");
}

#[test]
fn a_schema_that_never_says_no_is_none() {
    let good = json!({ "schema_version": 1, "run": null });
    valid("resume", &good);
    for bad in
        [json!({ "run": null }), json!({ "schema_version": 2, "run": null }), json!({ "schema_version": 1, "run": 7 })]
    {
        assert!(!published("resume").is_valid(&bad), "{bad}");
    }
    assert!(!published("event").is_valid(&json!({ "at": "yesterday", "event": "note", "message": "m" })));
    assert!(!published("event").is_valid(&json!({ "at": "2026-03-01T00:00:00Z", "event": "rumour" })));
}

const SPEC: &str = "tests/specs/it/job.yaml";

/// One verb after the other without hosts, in one form: its arguments and how it ends.
fn job(cloud: &Cloud, form: &str) -> Vec<(String, Output)> {
    let queue = "https://sqs.us-east-1.amazonaws.com/123456789012/job";
    let launch = ["launch", "--unattested", "--image", IMAGE, "--until", "running"];
    let dry_launch = [&["--dry-run"][..], &launch[..]].concat();
    let work = ["work", "--queue-url", queue, "--exit-when-empty", "--", "sh", "-c", "echo talk of the command"];
    let steps: [(&[&str], i32); 15] = [
        (&["validate"], 0),
        (&["plan", "feed"], 0),
        (&["plan", "down"], 0),
        (&["status"], 0),
        (&dry_launch, 0),
        (&launch, 0),
        (&launch, 0),
        (&["--dry-run", "exec", "--", "true"], 0),
        (&["exec", "--", "true"], 3),
        (&["push"], 3),
        (&["status"], 0),
        (&["feed"], 0),
        (&work, 0),
        (&["wait"], 0),
        (&["resume"], 0),
    ];
    let mut all = Vec::new();
    for (arguments, code) in steps.into_iter().chain([(&["down"][..], 0)]) {
        let output = expect(&mut cloud.cli_as("laptop", form, arguments), code);
        all.push((arguments.join(" "), output));
    }
    all
}

/// A job cloud with an empty release for `push`, which no host will get.
fn cloud() -> Cloud {
    let mut cloud = Cloud::start(SPEC, 120, &json!({}));
    let release = cloud.state("release.tar.gz");
    let made = Command::new("tar").args(["-czf"]).arg(&release).args(["-T", "/dev/null"]).status().unwrap();
    assert!(made.success());
    cloud.set(&format!("release.from='{}'", release.display()));
    cloud
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_verb_answers_in_every_form() {
    let run = |form: &'static str| job(&cloud(), form);
    let (table, json, jsonl, yaml) = std::thread::scope(|scope| {
        let table = scope.spawn(move || run("table"));
        let jsonl = scope.spawn(move || run("jsonl"));
        (table.join().unwrap(), run("json"), jsonl.join().unwrap(), run("yaml"))
    });
    for (((name, json), (_, jsonl)), ((_, yaml), (_, table))) in json.iter().zip(&jsonl).zip(yaml.iter().zip(&table)) {
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        let last = String::from_utf8_lossy(&jsonl.stdout).lines().last().map(str::to_owned).unwrap();
        let jsonl: Value = serde_json::from_str(&last).unwrap();
        let yaml: Value = serde_yaml::from_slice(&yaml.stdout).unwrap();
        assert_eq!(keys(&json)[0], "schema_version", "{name}");
        assert_eq!((keys(&json), keys(&json)), (keys(&jsonl), keys(&yaml)), "{name}");
        let table = String::from_utf8_lossy(&table.stdout);
        assert!(!table.is_empty(), "{name} has nothing to say");
        assert!(!table.contains(['\x1b', '\r']), "{name}: codes of a terminal in a pipe: {table}");
        assert!(!table.contains("talk of"), "{name}: {table}");
    }
}

#[test]
fn problems_of_a_spec_are_data() {
    let dir = tempfile::tempdir().unwrap();
    let spec = dir.path().join("fleet.yaml");
    std::fs::write(&spec, "version: 1\nname: a\naccount: 1\nregion: us-east-1\nflet: {}\n").unwrap();
    let mut command = binary();
    command.arg("-f").arg(&spec).args(["-o", "json", "validate"]);
    let output = expect(&mut command, 2);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["valid"], false);
    let codes: Vec<&str> = answer["problems"].as_array().unwrap().iter().map(|p| p["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"unknown-key") && codes.len() == 2, "{answer:#}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("fleet.yaml:5:1: error[unknown-key]"));
    let mut command = binary();
    command.arg("-f").arg(&spec).arg("validate");
    assert_eq!(expect(&mut command, 2).stdout, b"", "for people, problems are talk");
}

/// The verbs that need real hosts.
#[test]
fn a_campaign_with_hosts_answers_too() {
    let mut cloud = Cloud::with_hosts("fleet.yaml", 60, &json!({}), "real");
    let items = cloud.state("items.txt");
    std::fs::write(&items, "src/lib.rs\nsrc/main.rs\nsrc/exit.rs\nsrc/error.rs\n").unwrap();
    let release = cloud.mount("/mnt/rehearsal").join("release.tar.gz");
    let sets = ["fleet.size=2", "fleet.accept.min=2", "done.quiet=1m"].map(str::to_owned);
    for set in sets {
        cloud.set(&set);
    }
    cloud.set(&format!("feed.from={{lines: '{}'}}", items.display()));
    cloud.set(&format!("release.from='{}'", release.display()));
    expect(&mut cloud.cli_as("laptop", "json", &["verify"]), 0);
    expect(&mut cloud.cli_as("laptop", "yaml", &["bake"]), 0);
    let up = expect(&mut cloud.cli_as("laptop", "jsonl", &["up", "--keep"]), 0);
    let last = String::from_utf8_lossy(&up.stdout).lines().last().map(str::to_owned).unwrap();
    let up: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&up["verdict"], &up["hosts"]["ready"]), (&json!("done"), &json!(2)), "{up:#}");
    assert_eq!((&up["items"]["ok"], up["push"].as_array().unwrap().len()), (&json!(4), 2), "{up:#}");
    let exec = expect(&mut cloud.cli_as("laptop", "json", &["exec", "--", "echo out; exit 3"]), 3);
    let exec: Value = serde_json::from_slice(&exec.stdout).unwrap();
    assert_eq!(exec["hosts"][1]["output"].as_str().map(str::trim), Some("out"));
    assert_eq!(exec["hosts"][1]["exit_status"], 3);
    // Two hosts have cost more than this already: they stay unless the budget says otherwise.
    let budget = |cloud: &Cloud, then: &str| {
        let set = format!("budget={{stop_at: $0.000001, then: {then}}}");
        let up = expect(&mut cloud.cli_as("laptop", "json", &["--set", &set, "up"]), 13);
        let answer: Value = serde_json::from_slice(&up.stdout).unwrap();
        assert_eq!(answer["verdict"], "budget", "{answer:#}");
        (String::from_utf8_lossy(&up.stderr).into_owned(), answer)
    };
    let (talk, answer) = budget(&cloud, "keep");
    assert!(talk.contains("what is still running: 2 hosts, $0."), "{talk}");
    assert!(answer["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{answer:#}");
    assert_eq!(cloud.live("nightly-digest").len(), 2);
    let (talk, answer) = budget(&cloud, "down");
    assert!(talk.contains("the fleet is ended") && !talk.contains("fleetwright down"), "{talk}");
    assert_eq!(answer["hosts"]["terminated"], 2, "{answer:#}");
    assert!(cloud.live("nightly-digest").is_empty());
}
