//! What `init` writes: this repository's own example, with the answers put in and what a template instance knows by
//! itself left to it.

use super::aws;
use super::fields::{FLEET, PLAYBOOK};
use super::region::{self, Named};
use super::schema::schema;
use super::value::Wrong;

/// The example, from the folder that holds it.
const SPEC: &str = include_str!("../../fleet.yaml");
const VERIFY: &str = include_str!("../../playbooks/verify.yaml");
const DEPLOY: &str = include_str!("../../playbooks/deploy.yaml");
const TEMPLATE: &str = include_str!("../../playbooks/template.sh");
const WORKER: &str = include_str!("../../playbooks/worker.sh");
const IGNORED: &str = "# Release archives are built, then pushed.\n/build/\n";

/// The example's own values, each of which is replaced wherever it stands.
const NAME: &str = "nightly-digest";
const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
const INSTANCE: &str = "i-0123456789abcdef0";

/// Changes to the example: from it, to what a new folder holds.
const CHANGES: [(&str, &str); 8] = [
    ("\n  subnets: ", "\n  # subnets: "),
    ("\n  security_groups: ", "\n  # security_groups: "),
    ("\n  instance_profile: ", "\n  # instance_profile: "),
    (
        "from: {files: src}               # one item for every file below: src/main.rs",
        "from: {files: playbooks}        # one item for every file below: playbooks/worker.sh",
    ),
    (
        "  name: nightly-digest             # the run's short id is appended",
        "  # name: nightly-digest           # the run's short id is appended; the fleet's name when left out",
    ),
    (
        "# it needs.\n",
        "# it needs. Editors read the schema above; `fleetwright schema > .fleetwright/fleet.schema.json` makes it anew.\n",
    ),
    ("items: {from: [src, tests], count: 500}", "items: {from: [playbooks], count: 500}"),
    ("# The example that `fleetwright rehearse` runs: eight", "# Try it with `fleetwright rehearse`: eight"),
];

/// Who and where the new fleet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// `name`
    pub name: String,
    /// `account`
    pub account: String,
    /// `region`
    pub region: String,
    /// `template.instance`
    pub instance: String,
}

impl Default for Answers {
    /// The example's own: good for a rehearsal, and refused by any real account.
    fn default() -> Self {
        Self { name: NAME.into(), account: ACCOUNT.into(), region: REGION.into(), instance: INSTANCE.into() }
    }
}

/// One file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StarterFile {
    /// Its path below the new folder.
    pub path: &'static str,
    /// Its text.
    pub text: String,
    /// Whether it is a script to run.
    pub executable: bool,
}

/// Every file of a new folder.
pub fn files(answers: &Answers) -> Vec<StarterFile> {
    let mut spec = SPEC.to_owned();
    for (from, to) in CHANGES {
        spec = spec.replace(from, to);
    }
    let file = |path, text: &str, executable| StarterFile { path, text: answered(text, answers), executable };
    // Read by editors with a YAML server; the path starts from the file's own folder.
    let led = |schema: &str, text: &str| format!("# yaml-language-server: $schema={schema}\n{text}");
    let schema = |path, document| StarterFile { path, text: format!("{:#}\n", schema(document)), executable: false };
    vec![
        file("fleet.yaml", &led(".fleetwright/fleet.schema.json", &spec), false),
        file("playbooks/verify.yaml", &led("../.fleetwright/playbook.schema.json", VERIFY), false),
        file("playbooks/deploy.yaml", &led("../.fleetwright/playbook.schema.json", DEPLOY), false),
        schema(".fleetwright/fleet.schema.json", &FLEET),
        schema(".fleetwright/playbook.schema.json", &PLAYBOOK),
        file("playbooks/template.sh", TEMPLATE, true),
        file("playbooks/worker.sh", WORKER, true),
        file(".gitignore", IGNORED, false),
    ]
}

/// Puts the answers in; the name last, since it may hold anything that looks like one of the others.
fn answered(text: &str, answers: &Answers) -> String {
    text.replace("amazonaws.com", crate::model::Partition::of(&answers.region).domain)
        .replace(REGION, &answers.region)
        .replace(INSTANCE, &answers.instance)
        .replace(ACCOUNT, &answers.account)
        .replace(NAME, &answers.name)
}

/// A name for a fleet from a folder's, where one can be made of it.
pub fn name_of(folder: &str) -> Option<String> {
    aws::tame(folder)
}

/// Reads a fleet's name as the spec does.
///
/// # Errors
///
/// What it must be instead, to stand after "must be".
pub fn name(text: &str) -> Result<String, String> {
    told(text, aws::fleet_name)
}

/// Reads an account as the spec does.
///
/// # Errors
///
/// What it must be instead.
pub fn account(text: &str) -> Result<String, String> {
    // The spec's help is about quotes, which nobody types here.
    aws::account(text).map(str::to_owned).map_err(|wrong| format!("must be {}", wrong.wanted))
}

/// Reads a region as the spec does.
///
/// # Errors
///
/// What it must be instead.
pub fn region(text: &str) -> Result<String, String> {
    told(text, |text| {
        region::region(text).map(|region| match region {
            Named::Known(name) | Named::Strange(name, _) => name,
        })
    })
}

/// Reads an instance's id as the spec does.
///
/// # Errors
///
/// What it must be instead.
pub fn instance(text: &str) -> Result<String, String> {
    told(text, |text| aws::id("i-", text).map(|(text, _)| text))
}

fn told<'t>(text: &'t str, read: impl FnOnce(&'t str) -> Result<&'t str, Wrong>) -> Result<String, String> {
    read(text).map(str::to_owned).map_err(|wrong| match wrong.help {
        Some(help) => format!("must be {}; {help}", wrong.wanted),
        None => format!("must be {}", wrong.wanted),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_still_says_what_is_changed() {
        for (from, _) in CHANGES {
            assert_eq!(SPEC.matches(from).count(), 1, "{from}");
        }
        for (value, least) in [(NAME, 2), (ACCOUNT, 2), (REGION, 2), (INSTANCE, 1)] {
            assert!(SPEC.matches(value).count() >= least, "{value}");
        }
        assert!(TEMPLATE.contains(ACCOUNT) && TEMPLATE.contains(REGION));
    }

    #[test]
    fn answers_stand_everywhere_and_nothing_of_the_example_is_left() {
        let answers = Answers {
            name: "us-east-1-i-0123456789abcdef0".into(),
            account: "210987654321".into(),
            region: "cn-north-1".into(),
            instance: "i-0fedcba9876543210".into(),
        };
        let files = files(&answers);
        let spec = &files[0].text;
        assert!(spec.contains("\nname: us-east-1-i-0123456789abcdef0\n"), "{spec}");
        assert!(spec.contains("https://sqs.cn-north-1.amazonaws.com.cn/210987654321/digest"), "{spec}");
        assert!(spec.contains("instance: i-0fedcba9876543210"), "{spec}");
        for file in files.iter().filter(|file| !file.path.contains(".json")) {
            assert!(!file.text.contains(ACCOUNT) && !file.text.contains(NAME), "{}", file.path);
        }
        assert_eq!(files.iter().filter(|file| file.executable).count(), 2);
    }

    #[test]
    fn folders_lend_their_names() {
        assert_eq!(name_of("Nightly Crawl!"), Some("nightly-crawl".into()));
        assert_eq!(name_of("___"), None);
        assert_eq!(name_of(&"x".repeat(90)), Some("x".repeat(40)));
        assert_eq!(account("12345678901"), Err("must be an AWS account of 12 digits".into()));
        assert!(region("us-east-1a").is_err() && instance("ami-1").is_err() && name("A b").is_err());
    }
}
