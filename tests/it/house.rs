//! The house: what every file keeps to, and what the papers beside the code say about it.

use super::source::{aws_calls, files, is_rust, program, root, text};
use crate::env::Cloud;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Longest file: beyond it nobody sees one job any more.
const MOST_LINES: usize = 500;

fn code() -> Vec<(String, String)> {
    let paths = ["src", "tests"].into_iter().flat_map(files).filter(|path| is_rust(path));
    paths.map(|path| (path.clone(), text(&path))).collect()
}

#[test]
fn every_file_says_its_job_first() {
    let silent: Vec<String> = code()
        .into_iter()
        .filter(|(_, text)| !text.lines().next().is_some_and(|line| line.len() > 8 && line.starts_with("//! ")))
        .map(|(path, _)| path)
        .collect();
    assert!(silent.is_empty(), "these do not start with a `//!` sentence: {silent:?}");
}

#[test]
fn no_file_grows_out_of_hand() {
    let long = code().into_iter().map(|(path, text)| (text.lines().count(), path));
    let long: Vec<(usize, String)> = long.filter(|(lines, _)| *lines > MOST_LINES).collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines: {long:?}");
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("todo", "!(")];
    holds("a mark of unfinished work", |line| marks.iter().any(|mark| line.contains(mark)), code());
}

#[test]
fn lints_are_answered_not_silenced() {
    let silenced = [concat!("#[", "allow("), concat!("#![", "allow(")];
    holds(
        "a silenced lint: use #[expect(..., reason)]",
        |line| silenced.iter().any(|mark| line.contains(mark)),
        code(),
    );
}

#[test]
fn every_test_file_takes_part() {
    let main = text("tests/it/main.rs");
    for entry in fs::read_dir(root().join("tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let takes_part = name == "main" || main.lines().any(|line| line == format!("mod {name};"));
        assert!(takes_part, "tests/it/{name} is no module of tests/it/main.rs");
    }
}

/// Fails with every line that breaks a rule.
fn holds(rule: &str, broken: impl Fn(&str) -> bool, files: Vec<(String, String)>) {
    let mut found = Vec::new();
    for (path, text) in files {
        found.extend(
            text.lines().zip(1..).filter(|(line, _)| broken(line)).map(|(line, n)| format!("{path}:{n}: {line}")),
        );
    }
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Every text of the project: all that is not built, fetched or version control.
fn everything() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if [".git", "target", "Cargo.lock"].contains(&name.as_str()) {
            continue;
        }
        let paths = if entry.path().is_dir() { files(&name) } else { vec![name] };
        let read = |path: String| Some((path.clone(), String::from_utf8(fs::read(root().join(&path)).ok()?).ok()?));
        found.extend(paths.into_iter().filter_map(read));
    }
    found
}

/// The host of every web address in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-')).unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn the_project_names_no_workplace_and_no_registry() {
    let workplaces = [
        concat!("/wo", "rk/"),
        concat!("/fa", "rm/"),
        concat!("fa", "rm-be"),
        concat!("fa", "rm-st"),
        concat!(".lib", "rary"),
        concat!("before", "-stop"),
    ];
    let registries = [
        concat!("cra", "tes"),
        concat!("py", "pi"),
        concat!("python", "hosted"),
        concat!("npm", "js"),
        concat!("deb", "ian"),
    ];
    let named = |line: &str| {
        workplaces.iter().any(|word| line.contains(word))
            || hosts(line).any(|host| registries.iter().any(|word| host.contains(word)))
    };
    assert!(named(&format!("see https://static.{}.io/x", registries[0])));
    assert!(!named("see https://docs.aws.amazon.com/ec2"));
    holds("a word that belongs to a workplace or a registry", named, everything());
}

#[test]
fn the_readme_has_its_two_commands() {
    let readme = text("README.md");
    for command in ["cargo run --release -- rehearse", "tests/run"] {
        assert!(readme.lines().any(|line| line.trim() == command), "README.md does not show `{command}` as a command");
    }
    let ci: Vec<String> = text(".ci/run").lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert!(
        ci.iter().any(|line| line.trim_start_matches("exec ") == "tests/run"),
        ".ci/run is not the README's command"
    );
    for script in ["tests/run", ".ci/run"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(root().join(script)).unwrap().permissions().mode();
        assert!(mode & 0o111 == 0o111, "{script} is not executable");
    }
}

#[test]
fn papers_point_at_what_exists() {
    let ours = |path: &String| Path::new(path).extension().is_some_and(|it| it == "md");
    let papers: Vec<String> = ["README.md", "CONTRIBUTING.md"].map(str::to_owned).into();
    let papers: Vec<String> = papers.into_iter().chain(files("docs").into_iter().filter(ours)).collect();
    assert!(papers.len() > 8, "only {papers:?}");
    for paper in papers {
        let text = text(&paper);
        let base = Path::new(&paper).parent().unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let local = target.split('#').next().unwrap();
            let exists = target.contains("://") || local.is_empty() || root().join(base).join(local).exists();
            assert!(exists, "{paper} points at {target}");
        }
    }
}

#[test]
fn the_changelog_has_a_place_for_what_is_new() {
    assert!(text("CHANGELOG.md").lines().any(|line| line == "## [Unreleased]"));
}

#[test]
fn the_readme_lists_every_exit_code() {
    use fleetwright::exit::Exit;
    let readme = text("README.md");
    for exit in Exit::ALL {
        let row = format!("| {} |", exit.code());
        assert!(readme.lines().any(|line| line.starts_with(&row)), "README.md has no row `{row}` for {exit:?}");
    }
}

/// The spec that newcomers copy is a good one, with the playbooks that it names.
#[test]
fn the_readme_spec_is_valid() {
    let readme = text("README.md");
    let spec = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a spec");
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("build")).unwrap();
    fs::create_dir(dir.path().join("playbooks")).unwrap();
    for playbook in files("playbooks") {
        fs::copy(root().join(&playbook), dir.path().join(&playbook)).unwrap();
    }
    for (path, content) in [("fleet.yaml", spec), ("items.txt", "1\n"), ("build/worker.tar.gz", "")] {
        fs::write(dir.path().join(path), content).unwrap();
    }
    let loaded = fleetwright::spec::load(&dir.path().join("fleet.yaml"), &[], &|_| None);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false));
}

/// Every verb that the README shows is one, with flags that it takes.
#[test]
fn the_readme_shows_commands_that_exist() {
    let readme = text("README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut shown = 0;
    for line in blocks.flat_map(str::lines).filter(|line| line.starts_with("fleetwright ")) {
        let command = line.split(['#', '>', '|']).next().unwrap_or_default().replace("@bad.txt", "0");
        let words = command.split_whitespace().map(str::to_owned);
        if let Err(stop) = fleetwright::cli::parse(words) {
            panic!("{line}: {}", stop.text());
        }
        shown += 1;
    }
    assert!(shown > 10, "only {shown} commands");
}

#[test]
fn the_readme_names_every_verb() {
    let readme = text("README.md");
    let verbs = fleetwright::cli::command();
    let mut missing: Vec<&str> = verbs.get_subcommands().map(clap::Command::get_name).collect();
    assert!(missing.len() > 20, "only {missing:?}");
    missing.retain(|verb| !readme.contains(&format!("fleetwright {verb}")) && !readme.contains(&format!("`{verb}`")));
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}

/// The architecture page lists the rooms that there are.
#[test]
fn the_architecture_page_names_every_room() {
    let page = text("docs/architecture.md");
    let rooms: BTreeSet<String> = program().into_iter().filter_map(|source| source.module.first().cloned()).collect();
    for room in rooms {
        assert!(page.contains(&format!("| `{room}` |")), "docs/architecture.md has no row for {room}");
    }
}

/// Actions that a policy document allows.
fn allowed(path: &str) -> BTreeSet<String> {
    let policy = text(path);
    // IAM's quota for a managed policy, white space not counted.
    let size = policy.chars().filter(|c| !c.is_whitespace()).count();
    assert!(size <= 6144, "{path} is too long for a managed policy: {size}");
    let policy: serde_json::Value = serde_json::from_str(&policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter().filter(|statement| statement["Effect"] == "Allow");
    let actions = statements.flat_map(|statement| match &statement["Action"] {
        serde_json::Value::String(action) => vec![action.clone()],
        list => list.as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned()).collect(),
    });
    actions.collect()
}

/// `create_fleet` of `ec2` as IAM spells it: `ec2:CreateFleet`. Some calls need another action's name, or one more.
fn needed(client: &str, operation: &str) -> Vec<String> {
    let words = operation.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    required(format!("{client}:{}", words.collect::<String>()))
}

/// What IAM asks for before a call is carried out.
fn required(action: String) -> Vec<String> {
    match action.as_str() {
        // Everybody may ask who they are, and S3 tells where a bucket is in a refusal, too.
        "sts:GetCallerIdentity" | "s3:HeadBucket" => Vec::new(),
        // "Granting permissions for SendMessage also grants SendMessageBatch", and so for deleting and for visibility.
        "sqs:SendMessageBatch" => vec!["sqs:SendMessage".to_owned()],
        "sqs:ChangeMessageVisibilityBatch" => vec!["sqs:ChangeMessageVisibility".to_owned()],
        "sqs:DeleteMessageBatch" => vec!["sqs:DeleteMessage".to_owned()],
        // Listing is allowed on the bucket.
        "s3:ListObjectsV2" => vec!["s3:ListBucket".to_owned()],
        // A queue made with tags.
        "sqs:CreateQueue" => vec![action, "sqs:TagQueue".to_owned()],
        // A copy that is encrypted uses its key, and lets EBS go on with it.
        "ec2:CopyImage" => {
            let key = ["CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext"];
            let both = ["ReEncryptFrom", "ReEncryptTo"];
            key.iter().chain(&both).map(|use_of| format!("kms:{use_of}")).chain([action]).collect()
        }
        // An instant fleet launches in its caller's name, with the launch template's instance profile.
        "ec2:CreateFleet" => vec![action, "ec2:RunInstances".to_owned(), "iam:PassRole".to_owned()],
        // "You must have ec2:RunInstances permissions when you create or update an Auto Scaling group with a launch template."
        "autoscaling:CreateAutoScalingGroup" | "autoscaling:UpdateAutoScalingGroup" => {
            vec![action, "ec2:RunInstances".to_owned(), "iam:PassRole".to_owned()]
        }
        _ => vec![action],
    }
}

/// Each policy, and the files of src/aws that whoever has it uses.
const POLICIES: [(&str, &[&str]); 8] = [
    (
        "",
        &[
            "account",
            "fleets",
            "images",
            "instances",
            "network",
            "ours",
            "prices",
            "queues",
            "sts",
            "tags",
            "templates",
            "types",
            "volumes",
        ],
    ),
    ("-group", &["groups", "own_group", "refresh"]),
    ("-copies", &["images", "instances", "tags", "templates", "volumes"]),
    ("-build", &["fleets", "images", "instances", "templates", "volumes"]),
    ("-state", &["objects"]),
    ("-doctor", &["account", "trial"]),
    // These two stand alone, all others beside the first.
    ("-recycle", &["groups", "instances", "sts"]),
    ("-worker", &["objects", "queues"]),
];

/// All that the binary has called in this world is allowed by these policies.
#[track_caller]
pub(crate) fn assert_allowed(cloud: &Cloud, policies: &[&str]) {
    let granted: BTreeSet<String> =
        policies.iter().flat_map(|whose| allowed(&format!("docs/iam-policy{whose}.json"))).collect();
    let word = |call: &serde_json::Value, field: &str| call[field].as_str().unwrap().to_owned();
    let ours = cloud.audit().into_iter().filter(|call| call["principal"] == cloud.env()["AWS_ACCESS_KEY_ID"]);
    let called: BTreeSet<String> =
        ours.flat_map(|call| required(format!("{}:{}", word(&call, "service"), word(&call, "action")))).collect();
    assert!(!called.is_empty());
    let missing: Vec<&String> = called.difference(&granted).collect();
    assert!(missing.is_empty(), "called, and not allowed by {policies:?}: {missing:?}");
}

#[test]
fn the_policies_allow_what_is_called_and_nothing_else() {
    let calls = program().into_iter().map(|source| (source.path.clone(), aws_calls(&source)));
    let needed: BTreeMap<String, BTreeSet<String>> = calls
        .filter(|(_, calls)| !calls.is_empty())
        .map(|(path, calls)| (path, calls.iter().flat_map(|(client, operation)| needed(client, operation)).collect()))
        .collect();
    let policy = |whose: &str| allowed(&format!("docs/iam-policy{whose}.json"));
    let path = |file: &&str| format!("src/aws/{file}.rs");
    for (whose, files) in POLICIES {
        let used: BTreeSet<String> = files.iter().map(path).flat_map(|path| needed[&path].clone()).collect();
        let granted = policy(whose);
        let idle: Vec<&String> = granted.difference(&used).collect();
        assert!(idle.is_empty(), "iam-policy{whose}.json allows what nothing that it is for calls: {idle:?}");
    }
    assert!(needed.len() > 10, "only {needed:?}");
    for (file, needed) in needed {
        let having = POLICIES.iter().filter(|(_, files)| files.iter().any(|one| path(one) == file));
        let mut granted: BTreeSet<String> = having.clone().flat_map(|(whose, _)| policy(whose)).collect();
        if having.clone().any(|(whose, _)| !["-recycle", "-worker"].contains(whose)) {
            granted.extend(policy(""));
        }
        let missing: Vec<&String> = needed.difference(&granted).collect();
        assert!(missing.is_empty(), "{file} calls what no policy of whoever uses it allows: {missing:?}");
    }
}
