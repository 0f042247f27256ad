//! Every command block of the papers is run, by the shell and the binary that a reader has.
//!
//! A paper is one world with real hosts; its blocks go from top to bottom in one shell and one folder. A `yaml` block that
//! begins with `version:` is the fleet.yaml from there on. What a `console` block shows is compared with what comes;
//! `UPDATE_DOCS=1` writes down what came. Nothing is left out but what is named here, with its reason.

mod block;
mod scene;
mod screen;

use crate::source::{files, root, text};
use block::{Block, Command, blocks};
use scene::{Came, Scene};
use std::collections::BTreeMap;

/// Commands of `sh` blocks that are not run, by what they begin with, and why.
const ELSEWHERE: [(&str, &str); 27] = [
    ("fleetwright push --tag", "the page's world has no machines of others: tests/it/foreign.rs"),
    ("fleetwright exec --tag", "the page's world has no machines of others: tests/it/foreign.rs"),
    ("fleetwright exec --group", "the page's world has no machines of others: tests/it/foreign.rs"),
    ("fleetwright recycle", "the world of a page has no group: tests/it/recycle.rs"),
    ("fleetwright protect", "what is protected stays, and the page's `down` would say so: tests/it/marks.rs"),
    ("fleetwright scale", "more hosts than a test's machine has room for: tests/it/scale.rs"),
    ("fleetwright launch --watch", "it watches until it is stopped: tests/it/watch.rs"),
    ("fleetwright wait --watch", "it would launch what the page has ended: tests/it/watch.rs"),
    ("fleetwright logs 3 -f", "it follows until it is stopped: tests/it/into.rs"),
    ("fleetwright plan launch -n 40 --out", "the page's world has no image: tests/it/saved.rs"),
    ("fleetwright launch --plan", "the page's world has no image: tests/it/saved.rs"),
    ("fleetwright feed --pause", "it is told to a feed that is at it: tests/it/feeds.rs"),
    ("fleetwright feed --resume", "it is told to a feed that was held: tests/it/feeds.rs"),
    ("fleetwright bake --set template.build", "it asks SSM, which is not in the page's world: tests/it/built.rs"),
    ("fleetwright images diff", "images of other nights: tests/it/images.rs"),
    ("cargo ", "it builds what runs this"),
    ("install -m 755 target/release/", "no optimised build is made for the tests"),
    ("scripts/real-aws-smoke", "a world of its own: tests/it/smoke.rs"),
    ("tests/run", "it runs this"),
    ("tests/crash/", "minutes to hours, and its samples are run beside this"),
    ("fleetwright rehearse", "whole campaigns: tests/it/rehearse.rs"),
    ("fleetwright -f your/fleet.yaml rehearse", "somebody else's spec: tests/it/rehearse.rs"),
    ("fleetwright init", "it would write into the paper's folder: tests/it/init.rs"),
    ("fleetwright work ", "it is for a host, and works until it is stopped: its own tests"),
    ("fleetwright resume 7c1e09aa", "no run of the paper is unfinished: tests/it/crash.rs"),
    ("fleetwright down --only", "the `down` above has ended all: tests/it/scale.rs"),
    ("fleetwright down --adopt", "it waits five minutes of the world for strangers' launches: tests/it/doubt.rs"),
];

/// What only a reader knows, or is too much for a test's machine, and what stands for it.
const INSTEAD: [(&str, &str); 19] = [
    // Rehearsal hosts have no interactive logins.
    ("fleetwright ssh 3", "fleetwright ssh 3 -- true"),
    // There is something to do.
    ("--detailed-exitcode -o json", "--detailed-exitcode -o json || test $? = 14"),
    ("127.0.0.1:5000", "127.0.0.1:0"),
    ("size: 40\n", "size: 4\n"),
    ("size: 8\n", "size: 4\n"),
    ("min: 36,", "min: 4,"),
    ("min: 6,", "min: 4,"),
    ("-n 60", "-n 5"),
    ("-n 40", "-n 5"),
    ("fleet.size=60", "fleet.size=5"),
    ("--image ami-0123456789abcdef0", "--image \"$IMAGE\""),
    // Nothing fails here, and a list of nobody is refused.
    ("@bad.txt", "0"),
    ("@failed.txt", "0"),
    ("is-active worker", "is-active digest-worker"),
    ("-u worker", "-u digest-worker"),
    ("7c1e09aa", "\"$(fleetwright runs list -o json | jq -r '.runs[0].run')\""),
    ("ssh i-0123456789abcdef0", "ssh \"$(fleetwright status -o json | jq -r '.hosts[0].id')\""),
    ("logs i-0123456789abcdef0", "logs \"$(fleetwright status -o json | jq -r '.hosts[0].id')\""),
    ("10.0.3.7", "\"$(fleetwright status -o json | jq -r '.hosts[0].address')\""),
];

/// A machine that fleetwright did not launch.
const MACHINE: &str = "address: build.example.com, port: 2222, user: admin";

/// Languages of blocks, and whether they are run.
const LANGUAGES: [(&str, bool); 5] =
    [("sh", true), ("console", true), ("yaml", false), ("json", false), ("text", false)];

/// The papers that have a scene below; every other one has nothing to run.
const SCENES: [&str; 4] = ["README.md", "docs/output.md", "docs/reference/cli.md", "docs/tutorial.md"];

/// The text with everything that only a reader knows filled in.
fn filled(text: &str) -> String {
    INSTEAD.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn papers() -> Vec<String> {
    let mut all: Vec<String> = ["README.md", "CONTRIBUTING.md"].map(str::to_owned).into();
    all.extend(
        files("docs").into_iter().filter(|path| std::path::Path::new(path).extension().is_some_and(|it| it == "md")),
    );
    all
}

fn elsewhere(command: &Command) -> bool {
    ELSEWHERE.iter().any(|(start, _)| command.text.starts_with(start))
}

/// What a reader of a paper types, from top to bottom.
fn commands(paper: &str) -> Vec<Command> {
    let mut all = Vec::new();
    for block in blocks(paper, &text(paper)) {
        match block.language.as_str() {
            "sh" => all.extend(block.commands().into_iter().filter(|command| !elsewhere(command))),
            "console" => all.extend(block.commands()),
            "yaml" if block.text.starts_with("version:") => all.push(block.as_a_file("fleet.yaml")),
            _ => {}
        }
    }
    all
}

/// Runs a paper in its scene; every command must end well.
#[track_caller]
fn play(scene: &Scene, commands: &[Command]) -> Vec<Came> {
    let came = scene.run(commands);
    let last = came.last().unwrap();
    assert!(came.len() == commands.len(), "{}: exit {}\n{}", last.place, last.code, last.screen);
    came
}

/// A paper whose commands are for the example's fleet.
fn example(paper: &str, before: &[&str]) {
    let scene = Scene::with_the_example();
    // The one machine of others that this world has: its template.
    let machine = scene.template();
    let fill = |text: &str| filled(text).replace("  - 10.0.0.5\n", "").replace(MACHINE, &machine);
    let mut all: Vec<Command> = before.iter().map(|text| Command::hidden(text)).collect();
    all.extend(commands(paper).into_iter().map(|command| Command { text: fill(&command.text), ..command }));
    play(&scene, &all);
}

#[test]
fn every_block_is_run_or_says_what_it_is() {
    for paper in papers() {
        for block in blocks(&paper, &text(&paper)) {
            let place = format!("{paper}:{}", block.line);
            let (_, run) = LANGUAGES.iter().find(|(name, _)| *name == block.language).unwrap_or_else(|| {
                panic!("{place}: a block in {:?}; what it is must be said: {LANGUAGES:?}", block.language)
            });
            if block.language == "json" {
                serde_json::from_str::<serde_json::Value>(&block.text).unwrap_or_else(|e| panic!("{place}: {e}"));
            }
            if *run && !SCENES.contains(&paper.as_str()) {
                for command in block.commands() {
                    assert!(elsewhere(&command), "{}: nothing runs `{}`", command.place, command.text);
                }
            }
        }
    }
    // Nothing is listed that is not there.
    let all: Vec<String> = papers().iter().map(|paper| text(paper)).collect();
    for (start, _) in ELSEWHERE.iter().chain(&INSTEAD) {
        let shown = all.iter().any(|text| text.contains(start)) || text("fleet.yaml").contains(start);
        assert!(shown, "no paper shows `{start}` any more");
    }
    // What is not run is at least a command line that exists.
    for paper in SCENES {
        for block in blocks(paper, &text(paper)).iter().filter(|block| block.language == "sh") {
            for command in block.commands() {
                let words = command.text.split(['#', '>', '|']).next().unwrap_or_default().split_whitespace();
                let words: Vec<String> = words.map(str::to_owned).collect();
                if elsewhere(&command) && words[0] == "fleetwright" {
                    let parsed = fleetwright::cli::parse(words);
                    assert!(parsed.is_ok(), "{}: {}", command.place, command.text);
                }
            }
        }
    }
}

/// Fields of the reference are examples of the table that `spec::fields` tests against the reader; whole specs are run by
/// the papers that show them, and are valid by themselves.
#[test]
fn every_spec_is_valid() {
    let mut shown = 0;
    for paper in papers().iter().filter(|paper| !paper.starts_with("docs/reference/")) {
        for block in blocks(paper, &text(paper)).iter().filter(|block| block.language == "yaml") {
            assert!(block.text.starts_with("version:"), "{paper}:{}: no whole spec", block.line);
            let scene = Scene::empty();
            scene.furnish();
            let file = scene.here().join("fleet.yaml");
            std::fs::write(&file, &block.text).unwrap();
            let loaded = fleetwright::spec::load(&file, &[], &|_| None);
            let loaded = loaded.unwrap_or_else(|problems| panic!("{paper}:{}\n{problems}", block.line));
            assert!(loaded.warnings.is_empty(), "{paper}:{}\n{}", block.line, loaded.warnings);
            shown += 1;
        }
    }
    assert!(shown > 1, "the README shows a spec and one of others' machines");
}

#[test]
fn the_readme_is_gone_through() {
    example("README.md", &[]);
}

#[test]
fn the_page_on_output_is_gone_through() {
    example("docs/output.md", &["fleetwright launch --unattested --image \"$IMAGE\""]);
}

#[test]
fn the_command_line_is_gone_through() {
    example("docs/reference/cli.md", &["fleetwright verify", "fleetwright bake"]);
}

#[test]
fn the_tutorial_is_gone_through_and_shows_what_comes() {
    const PAPER: &str = "docs/tutorial.md";
    let commands = commands(PAPER);
    let came = play(&Scene::empty().with_the_binary(), &commands);
    let page = text(PAPER);
    let mut lines: Vec<&str> = page.lines().collect();
    let mut wrong = Vec::new();
    let (mut stands_for, mut stood_for_by) = (BTreeMap::new(), BTreeMap::new());
    // From below, so that the lines above stay where they are.
    for (command, came) in commands.iter().zip(&came).rev() {
        let shown = command.shown.as_deref().unwrap_or_default();
        let place = format!("{}: {}", command.place, command.text);
        if screen::same(shown, &came.screen) {
            // One recording: what is one thing in all blocks of the page is one thing in all of the run, and the other way.
            for (name, new) in screen::names(shown, &came.screen) {
                let was = (*stands_for.entry(name).or_insert(new), *stood_for_by.entry(new).or_insert(name));
                if was != (new, name) {
                    wrong.push(format!(
                        "{place}: {name} stands for {new}; elsewhere it stands for {}, and {} for that one",
                        was.0, was.1
                    ));
                }
            }
        } else {
            wrong.push(format!("{place}\n--- shown\n{shown}--- came\n{}", came.screen));
        }
        lines.splice(command.below..command.below + shown.lines().count(), screen::brief(&came.screen));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(PAPER), lines.join("\n") + "\n").unwrap();
        return;
    }
    assert!(
        wrong.is_empty(),
        "{}\nto show what came: UPDATE_DOCS=1 cargo test --test it papers, then read the difference",
        wrong.join("\n")
    );
}

impl Block {
    /// The command that writes the block to a file.
    fn as_a_file(&self, name: &str) -> Command {
        let text = format!("cat >{name} <<'END'\n{}END", self.text);
        Command { place: format!("{}:{}", self.paper, self.line), below: 0, text, shown: None }
    }
}

impl Command {
    /// What no paper shows, since its reader has done it before.
    fn hidden(text: &str) -> Self {
        Self { place: "before".to_owned(), below: 0, text: text.to_owned(), shown: None }
    }
}
