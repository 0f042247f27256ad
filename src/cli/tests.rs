//! What the command line promises as a whole.

use super::request::*;
use super::*;
use std::time::Duration;

fn request(line: &str) -> Request {
    parse(line.split(' ')).unwrap_or_else(|stop| panic!("{line}: {}", stop.text()))
}

fn refusal(line: &str) -> String {
    match parse(line.split(' ')) {
        Ok(request) => panic!("{line} was taken: {request:?}"),
        Err(stop) => {
            assert!(stop.0.use_stderr(), "{line} is no usage error");
            stop.text()
        }
    }
}

#[test]
fn the_tree_is_sound() {
    command().debug_assert();
}

#[test]
fn help_as_printed() {
    let Err(stop) = parse(["fleetwright", "--help"]) else { panic!("no help") };
    assert_eq!(stop.print(), Exit::Done);
    // The width of whatever terminal the tests run in must not matter.
    let help = command().term_width(100).render_long_help().to_string();
    insta::with_settings!({filters => vec![(r" +\n", "\n")]}, { insta::assert_snapshot!(help) });
}

#[test]
fn usage_errors_exit_2_and_help_0() {
    for (line, exit) in [("--version", Exit::Done), ("push --help", Exit::Done), ("", Exit::Usage), ("x", Exit::Usage)]
    {
        let arguments = ["fleetwright"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
        let Err(stop) = parse(arguments) else { panic!("{line} was taken") };
        assert_eq!(if stop.0.use_stderr() { Exit::Usage } else { Exit::Done }, exit, "{line}");
    }
    assert!(refusal("fleetwright lanch").contains("'launch'"));
    assert!(refusal("fleetwright push --max-fial 5%").contains("--max-fail"));
}

#[test]
fn globals_stand_before_and_behind_the_verb() {
    let before = request("fleetwright -f a.yaml -o json --timeout 45m -y status");
    let behind = request("fleetwright status -f a.yaml -o json --timeout 45m -y");
    assert_eq!(before, behind);
    assert_eq!(before.global.output, crate::report::Format::Json);
    assert_eq!(before.global.timeout, Some(Duration::from_mins(45)));
    assert_eq!(before.global.file.as_deref(), Some("a.yaml".as_ref()));
    assert!(before.global.yes);
    let set = request("fleetwright validate --set fleet.size=60 --set name=x").global.set;
    assert_eq!(set.iter().map(|s| s.path.as_str()).collect::<Vec<_>>(), ["fleet.size", "name"]);
    assert!(refusal("fleetwright status -q -v").contains("cannot be used with"));
}

#[test]
fn globals_before_and_behind_the_verb_add_up() {
    let set = |line: &str| {
        let set = request(line).global.set;
        set.into_iter().map(|s| format!("{}={}", s.path, s.value)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(set("fleetwright --set a=1 --set b=2 plan --set c=3 push --set d=4 --set=e=5"), "a=1 b=2 c=3 d=4 e=5");
    assert_eq!(set("fleetwright --set a=1 runs list"), "a=1");
    assert_eq!(request("fleetwright -v status -v").global.verbose, 2);
    assert_eq!(request("fleetwright -v plan -vv launch -v").global.verbose, 4);
    // The later one holds, on either side.
    let global = request("fleetwright -o json -y --timeout 1h status -o yaml -o jsonl -y --timeout 2h").global;
    assert_eq!((global.output, global.yes), (crate::report::Format::Jsonl, true));
    assert_eq!(global.timeout, Some(Duration::from_hours(2)));
    assert_eq!(request("fleetwright --color never status").global.color, crate::report::When::Never);
    let file = |line: &str| request(line).global.file.unwrap_or_default().display().to_string();
    assert_eq!(file("fleetwright -f a.yaml plan -f b.yaml launch"), "b.yaml");
    assert_eq!(file("fleetwright -f a.yaml logs 3 --file b.yaml -f"), "b.yaml");
    let refused = refusal("fleetwright -q status -v");
    assert!(refused.contains("'--quiet' cannot be used with '--verbose...'"), "{refused}");
}

#[test]
fn a_verbs_own_letter_comes_first() {
    let Request { global, verb: Verb::Logs(logs) } = request("fleetwright -f a.yaml logs 3 -f") else {
        panic!("no logs")
    };
    assert!(logs.follow);
    assert_eq!(global.file.as_deref(), Some("a.yaml".as_ref()));
    assert_eq!(request("fleetwright logs -f 3").verb, request("fleetwright logs 3 --follow").verb);
}

#[test]
fn verbs_are_read() {
    let launch = request("fleetwright launch -n 40 --until ready").verb;
    assert_eq!(launch, Verb::Launch(Launch { n: Some(40), until: Until::Ready, ..Launch::default() }));
    assert_eq!(request("fleetwright launch --size 40").verb, request("fleetwright launch -n 40").verb);

    let Verb::Push(push) = request("fleetwright push --only 3 --only i-0123456789abcdef0 --max-fail 5%").verb else {
        panic!("no push")
    };
    assert_eq!(push.target.only.len(), 2);
    assert_eq!(push.target.max_fail, Some(MaxFail::Percent(5)));

    let Verb::Exec(exec) = request("fleetwright exec --only 0 -- uname -r").verb else { panic!("no exec") };
    assert_eq!(exec.command, ["uname", "-r"]);

    let work = request("fleetwright work --queue-url http://q --exit-when-empty -- ./w --batch 9").verb;
    let expected = crate::work::Options {
        queue_url: "http://q".into(),
        batch: None,
        visibility: Duration::from_mins(2),
        retry_after: None,
        exit_when_empty: true,
        max_items: None,
        command: vec!["./w".into(), "--batch".into(), "9".into()],
    };
    assert_eq!(work, Verb::Work(expected));

    let Verb::Ssh(ssh) = request("fleetwright ssh #3 -- uname -r").verb else { panic!("no ssh") };
    assert_eq!((ssh.host, ssh.command.len()), (HostName::Pick(HostPick::Slot(3)), 2));
    let Verb::Logs(logs) = request("fleetwright logs fd00::7").verb else { panic!("no logs") };
    assert_eq!((logs.host, logs.lines), (HostName::Address("fd00::7".parse().unwrap()), 200));

    let plan = request("fleetwright plan").verb;
    assert_eq!(plan, Verb::Plan(Plan::of(Verb::Up(Up::default()))));
    let Verb::Plan(plan) = request("fleetwright plan launch -n 3 --detailed-exitcode").verb else { panic!("no plan") };
    assert!(plan.detailed_exitcode);
    assert_eq!(*plan.of, request("fleetwright launch -n 3").verb);
    let Verb::SimServe(serve) = request("fleetwright sim serve --hosts none").verb else { panic!("no sim") };
    assert_eq!((serve.listen.to_string().as_str(), serve.hosts), ("127.0.0.1:0", HostsKind::None));
}

#[test]
fn wrong_values_are_named() {
    for (line, word) in [
        ("fleetwright launch -n 0", "expected a whole number from 1 to 10000"),
        ("fleetwright launch --until soon", "possible values: running, ssh, ready"),
        ("fleetwright sim serve --listen 0.0.0.0:80", "0.0.0.0 is not a loopback address"),
        ("fleetwright push --only web/1", "web/1 is neither an instance id"),
        ("fleetwright push --only @/nowhere", "failed to read /nowhere"),
        ("fleetwright work --queue-url q --visibility 13h -- x", "at most 12h"),
        ("fleetwright work --queue-url q", "<COMMAND>"),
        ("fleetwright exec", "<COMMAND>"),
        ("fleetwright ssh web@1", "expected an instance id (i-...), a slot such as 3 or #3, or an address"),
        ("fleetwright ssh", "<HOST>"),
        ("fleetwright logs 3 --lines 0", "expected a whole number from 1 to 10000"),
        ("fleetwright inventory --format chef", "possible values: ssh-config, ansible, hosts"),
        ("fleetwright runs show latest", "expected a run's id"),
        ("fleetwright resume latest", "expected a run's id"),
        ("fleetwright --timeout 0s wait", "longer than zero"),
    ] {
        let text = refusal(line);
        assert!(text.contains(word), "{line}: {text}");
    }
}

#[test]
fn color_of_help_follows_the_flag() {
    let choice = |line: &str| help_color(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert_eq!(choice("fleetwright --color never push"), clap::ColorChoice::Never);
    assert_eq!(choice("fleetwright push --color=always"), clap::ColorChoice::Always);
    assert_eq!(choice("fleetwright exec -- ls --color=always"), clap::ColorChoice::Auto);
}
