//! Tests of rendering: values arrive literally, or the playbook is refused.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn facts() -> HostFacts {
    HostFacts {
        id: InstanceId::from("i-0abc"),
        slot: 7,
        address: Address { host: "10.0.0.9".into(), port: 22 },
        fleet: FleetName::from("nightly"),
        region: Some(Region::from("us-east-1")),
        release: Some("ab12".into()),
        queue_url: None,
    }
}

fn step(action: Action) -> Step {
    Step { name: "it".into(), timeout: Duration::from_secs(5), retries: 0, when: None, action }
}

fn playbook(steps: Vec<Step>) -> Playbook {
    Playbook { file: "p.yaml".into(), digest: String::new(), vars: BTreeMap::new(), steps }
}

fn run(text: &str, value: &str) -> Result<PlayKind, RenderError> {
    let vars = BTreeMap::from([("x".to_owned(), value.to_owned())]);
    let book = playbook(vec![step(Action::Run(Command::Shell(Text(text.into()))))]);
    let play = render(&book, &vars, &facts(), &Files::new())?;
    Ok(play.steps[0].kind.clone())
}

fn script(text: &str, value: &str) -> String {
    match run(text, value) {
        Ok(PlayKind::Run { script }) => script,
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_in_scripts_are_quoted() {
    assert_eq!(script("echo {{ x }} {{ slot }}", "a b"), "echo 'a b' 7");
    assert_eq!(script("echo {{ x }}", "'; touch pwn; '"), r"echo ''\''; touch pwn; '\'''");
    assert_eq!(script("{% if slot > 3 %}echo {{ x | upper }}{% endif %}", "a$b"), "echo 'A$B'");
    assert_eq!(script("{% set y %}pre {{ x }}{% endset %}echo {{ y }}", "$(id)"), "echo 'pre $(id)'");
    assert_eq!(script("{% for w in [x, 'c'] %}echo {{ w }};{% endfor %}", "a;b"), "echo 'a;b';echo c;");
    assert_eq!(script("echo {{ x }}", ""), "echo ''");
}

#[test]
fn there_is_no_way_around_the_quotes() {
    for text in ["echo {{ x | safe }}", "echo {{ x | raw }}", "echo {{ x | escape }}"] {
        assert!(matches!(run(text, "a b"), Err(RenderError::Template { .. })), "{text}");
    }
    assert_eq!(script("{% autoescape false %}echo {{ x }}{% endautoescape %}", "a b"), "echo 'a b'");
    let refused = run("su app -c \"work {{ x }}\"", "a").unwrap_err();
    insta::assert_snapshot!(refused, @r#"render step it: a value stands inside double quotes; values are quoted already, so write them bare, or hand them on as arguments: sh -c 'echo "$1"' sh {{ value }}"#);
    assert!(matches!(run("echo {{ x }}", "a\0b"), Err(RenderError::Nul { .. })));
}

#[test]
fn undefined_names_are_errors() {
    let error = run("echo {{ nowhere }}", "").unwrap_err();
    assert!(error.to_string().contains("undefined"), "{error}");
    assert!(run("echo {{ queue_url }}", "").is_err(), "a fact that is not there is undefined too");
}

#[test]
fn facts_cannot_be_hidden() {
    let vars = BTreeMap::from([("slot".to_owned(), "0".to_owned())]);
    let error = render(&playbook(vec![]), &vars, &facts(), &Files::new()).unwrap_err();
    assert_eq!(error, RenderError::Hidden("slot".into()));
}

#[test]
fn words_paths_and_services() {
    let text = |t: &str| Text(t.into());
    let render_one = |action| {
        let files = Files::from([(PathBuf::from("unit"), Arc::from(&b"[Unit]"[..]))]);
        render(&playbook(vec![step(action)]), &BTreeMap::new(), &facts(), &files).map(|play| play.steps[0].kind.clone())
    };
    assert_eq!(
        render_one(Action::Run(Command::Words(vec![text("echo"), text("slot {{ slot }}"), text("$x")]))),
        Ok(PlayKind::Run { script: "echo 'slot 7' '$x'".into() })
    );
    assert_eq!(
        render_one(Action::Unpack { to: text("/srv/releases/{{ release }}/") }),
        Ok(PlayKind::Unpack { to: "/srv/releases/ab12".into() })
    );
    for path in ["srv", "/", "/srv/../etc", ""] {
        assert!(matches!(render_one(Action::Unpack { to: text(path) }), Err(RenderError::Relative { .. })), "{path}");
    }
    for name in ["-f", "a b", "", "x;y"] {
        assert!(matches!(render_one(Action::Restart(text(name))), Err(RenderError::Service { .. })), "{name}");
    }
    let put = |file: &str| Action::Put {
        content: PutContent::File(file.into()),
        to: text("/etc/unit"),
        mode: 0o644,
        owner: None,
    };
    assert!(matches!(render_one(put("unit")), Ok(PlayKind::Put { bytes, .. }) if &*bytes == b"[Unit]"));
    assert!(matches!(render_one(put("gone")), Err(RenderError::File { .. })));
}

#[test]
fn when_leaves_steps_out() {
    let mut first = step(Action::Run(Command::Shell(Text("echo".into()))));
    for (when, want) in [("{{ slot == 7 }}", Some(1)), ("{{ slot == 0 }}", Some(0)), ("{{ slot }}", None)] {
        first.when = Some(Text(when.into()));
        let play = render(&playbook(vec![first.clone()]), &BTreeMap::new(), &facts(), &Files::new());
        assert_eq!(play.ok().map(|play| play.steps.len()), want, "{when}");
    }
}

#[test]
fn the_digest_tells_what_is_done_not_how_long_it_may_take() {
    let digest = |seconds, value: &str| {
        let mut step = step(Action::Run(Command::Shell(Text("echo {{ x }}".into()))));
        step.timeout = Duration::from_secs(seconds);
        let vars = BTreeMap::from([("x".to_owned(), value.to_owned())]);
        render(&playbook(vec![step]), &vars, &facts(), &Files::new()).unwrap().digest
    };
    assert_eq!(digest(1, "a"), digest(2, "a"));
    assert_ne!(digest(1, "a"), digest(1, "b"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_value_is_one_literal_argument(value in r#"([^\x00]|['"`$\\;&|<>(){}*?!~# \n]){0,24}"#) {
        let script = script("f() { printf '%s' \"$#:$1\"; }; f {{ x }}", &value);
        for shell in ["sh", "bash"] {
            let run = std::process::Command::new(shell).arg("-c").arg(&script).output().unwrap();
            prop_assert_eq!(run.stdout, format!("1:{value}").into_bytes(), "{}", script);
        }
    }
}
