//! A real terminal: colours, width, questions, progress; and what must not be there without one.

use crate::env::{Cloud, IMAGE, binary, expect};
use nix::pty::{Winsize, openpty};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr;

/// Patience with a process; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program on a terminal of its own.
struct Screen {
    child: Child,
    keyboard: File,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    /// Starts it on a terminal so many columns wide, as its session's leader: Ctrl-C reaches it.
    fn start(command: &Command, columns: u16) -> Self {
        Self::with(command, columns, |command, end| {
            command.stdin(end(())).stdout(end(())).stderr(end(()));
        })
    }

    /// The same with only those streams on the terminal that `attach` puts there.
    fn with(command: &Command, columns: u16, attach: impl FnOnce(&mut Command, &dyn Fn(()) -> Stdio)) -> Self {
        let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let slave: OwnedFd = pty.slave;
        let mut leader = Command::new("setsid");
        leader.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args()).env_clear();
        leader.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if command.get_envs().all(|(name, _)| name != "TERM") {
            leader.env("TERM", "xterm-256color");
        }
        attach(&mut leader, &|()| Stdio::from(slave.try_clone().unwrap()));
        let child = leader.spawn().unwrap();
        drop((leader, slave));
        let mut screen = File::from(pty.master);
        let keyboard = screen.try_clone().unwrap();
        let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // The read fails once nobody holds the other end.
            while let Ok(n @ 1..) = screen.read(&mut chunk) {
                sink.lock().unwrap().extend_from_slice(&chunk[..n]);
            }
        });
        Self { child, keyboard, seen }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// Waits until a text is on the screen.
    #[track_caller]
    fn wait_for(&self, text: &str) {
        let begun = Instant::now();
        while !self.text().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "{text:?} never came: {}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end; its exit code and all that was on the screen.
    fn end(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if begun.elapsed() > PATIENCE => panic!("it does not end: {}", self.text()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        // What was written last may still be on its way.
        let mut last = self.text().len();
        loop {
            std::thread::sleep(Duration::from_millis(30));
            let now = self.text().len();
            if now == last {
                return (status.code(), self.text());
            }
            last = now;
        }
    }
}

/// The text without the terminal's codes.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => drop(chars.by_ref().find(char::is_ascii_alphabetic)),
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

const SPEC: &str = "tests/specs/it/five.yaml";

fn launch(cloud: &Cloud, more: &[&str]) -> Command {
    let mut command = cloud.bare("laptop");
    command.args(more).args(["launch", "--unattested", "--image", IMAGE, "--until", "running"]);
    command
}

#[test]
fn a_question_is_asked_on_a_terminal_only() {
    let cloud = Cloud::start(SPEC, 600, &json!({}));
    // The end of input is a no, and so is anything but yes.
    for keys in ["\x04", "n\n", "\n", "yess\n"] {
        let mut screen = Screen::start(&launch(&cloud, &[]), 100);
        screen.wait_for("Go ahead? [y/N] ");
        screen.press(keys);
        let (code, text) = screen.end();
        assert_eq!(code, Some(2), "{keys:?}: {text}");
        assert!(plain(&text).contains("Error: the answer was no; nothing was changed"), "{text}");
    }
    // Ctrl-C is an answer too.
    let mut screen = Screen::start(&launch(&cloud, &[]), 100);
    screen.wait_for("Go ahead? [y/N] ");
    screen.press("\x03");
    let (code, text) = screen.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(plain(&text).contains("Error: stopped before anything was changed"), "{text}");
    // Nobody is asked who can't see the question.
    let hidden = Screen::with(&launch(&cloud, &[]), 100, |command, end| {
        command.stdin(end(())).stdout(end(())).stderr(Stdio::null());
    });
    assert_eq!(hidden.end().0, Some(2));
    let mut piped = launch(&cloud, &[]);
    let output = expect(piped.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--yes"), "{output:?}");
    assert_eq!(cloud.ever_made(), 0);
    let mut screen = Screen::start(&launch(&cloud, &[]), 100);
    screen.wait_for("Go ahead? [y/N] ");
    screen.press("y\n");
    let (code, text) = screen.end();
    assert_eq!((code, cloud.live("five").len()), (Some(0), 5), "{text}");
}

#[test]
fn sixty_columns_are_enough() {
    let cloud = Cloud::start(SPEC, 600, &json!({}));
    expect(&mut cloud.launch("laptop"), 0);
    let mut status = cloud.bare("laptop");
    status.arg("status");
    let (code, text) = Screen::start(&status, 60).end();
    assert_eq!(code, Some(0), "{text}");
    let text = plain(&text);
    for line in text.lines() {
        assert!(line.width() <= 60, "{} columns: {line:?}\n{text}", line.width());
    }
    for id in cloud.live("five") {
        assert!(text.contains(&id), "{id} is not whole: {text}");
    }
    assert!(text.contains("(-o json also has"), "{text}");
    // On a wide one nothing is left out, and without a terminal nothing either.
    let (_, wide) = Screen::start(&status, 200).end();
    let piped = expect(status.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), 0);
    let piped = String::from_utf8(piped.stdout).unwrap();
    assert!(piped.contains("EXPIRES") && !piped.contains("also has"), "{piped}");
    // But for the second or two between the two looks, which cost something.
    let without_cost =
        |text: &str| text.lines().filter(|line| !line.starts_with("cost: ")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_cost(&plain(&wide)), without_cost(&piped));
    for verb in [&["--help"][..], &["launch", "--help"], &["sim", "serve", "--help"]] {
        let mut help = binary();
        help.args(verb);
        let (code, text) = Screen::start(&help, 60).end();
        assert_eq!(code, Some(0));
        let widest = plain(&text).lines().map(UnicodeWidthStr::width).max().unwrap();
        assert!(widest <= 60, "{verb:?}: {widest} columns\n{}", plain(&text));
    }
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    // A failure that every environment meets: its first word is coloured.
    let failing = |env: &[(&str, &str)], arguments: &[&str]| {
        let mut command = binary();
        command.args(["-f", "/nonexistent/fleet.yaml"]).args(arguments).arg("validate").envs(env.iter().copied());
        command
    };
    let on_screen = |env: &[(&str, &str)], arguments: &[&str]| {
        let (code, text) = Screen::start(&failing(env, arguments), 100).end();
        assert_eq!(code, Some(2), "{text}");
        text.contains("\x1b[")
    };
    let in_pipe = |env: &[(&str, &str)], arguments: &[&str]| {
        let output = failing(env, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        output.stderr.contains(&0x1b)
    };
    assert!(on_screen(&[], &[]));
    assert!(!on_screen(&[("NO_COLOR", "1")], &[]));
    assert!(!on_screen(&[("TERM", "dumb")], &[]));
    assert!(!on_screen(&[], &["--color", "never"]));
    assert!(on_screen(&[("NO_COLOR", "1")], &["--color", "always"]));
    assert!(!in_pipe(&[], &[]));
    assert!(in_pipe(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!in_pipe(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[]));
    assert!(in_pipe(&[], &["--color", "always"]));
    // Help is printed by the argument parser, by the same rules.
    let help = |env: &[(&str, &str)], screen: bool| {
        let mut command = binary();
        command.arg("--help").envs(env.iter().copied());
        if screen {
            Screen::start(&command, 100).end().1.contains("\x1b[")
        } else {
            command.output().unwrap().stdout.contains(&0x1b)
        }
    };
    assert!(help(&[], true) && !help(&[("NO_COLOR", "1")], true) && !help(&[("TERM", "dumb")], true));
    assert!(!help(&[], false) && help(&[("CLICOLOR_FORCE", "1")], false));
}

#[test]
fn progress_is_for_terminals_that_can_move() {
    // A call that is held: whatever is drawn while it lasts is progress.
    let progress = |env: &[(&str, &str)], arguments: &[&str]| {
        let cloud = Cloud::start(SPEC, 600, &json!({}));
        cloud.arm("CreateFleet", "before-commit");
        let mut command = launch(&cloud, &[&["--yes"], arguments].concat());
        command.envs(env.iter().copied());
        let started = Instant::now();
        let mut screen = Screen::start(&command, 60);
        if arguments == ["-q"] {
            assert!(cloud.held(&mut screen.child));
            // Longer than bars wait before they are drawn.
            std::thread::sleep(Duration::from_millis(400));
        } else {
            screen.wait_for("ask for 3 spot and 2 on-demand");
        }
        // The step is announced, or its bar is drawn; a bar moves by itself.
        let moving = |text: &str| text.contains("\x1b[2K") || text.contains("\x1b[1A");
        let bars = arguments.is_empty() && env.is_empty();
        let begun = Instant::now();
        while bars && !moving(&screen.text()) {
            assert!(begun.elapsed() < PATIENCE, "no bar: {:?}", screen.text());
            std::thread::sleep(Duration::from_millis(5));
        }
        cloud.release();
        let (code, text) = screen.end();
        assert_eq!(code, Some(0), "{text}");
        // Lines are redrawn where they are: the screen is never cleared, nothing is drawn more often than eyes can follow.
        for jump in ["\x1b[2J", "\x1b[3J", "\x1b[H", "\x1b[?1049h"] {
            assert!(!text.contains(jump), "{jump:?}: {text:?}");
        }
        let erased = text.matches("\x1b[2K").count();
        let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
        assert!(erased < 40 * seconds, "{erased} lines are erased in {seconds} s: {text:?}");
        (moving(&text), text)
    };
    let (moved, text) = progress(&[], &[]);
    assert!(moved && text.contains("5 of 5 hosts"), "{text}");
    // What stays has nothing of a bar in it, and the answer comes after all of them.
    assert!(text.trim_end().ends_with("5 of 5 hosts"), "{text:?}");
    for (env, arguments) in [(&[("TERM", "dumb")][..], &[][..]), (&[], &["--no-progress"]), (&[], &["-q"])] {
        let (moved, text) = progress(env, arguments);
        assert!(!moved, "{text:?}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let cloud = Cloud::start(SPEC, 600, &json!({}));
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    for arguments in
        [&["status"][..], &["-o", "json", "status"], &["-o", "jsonl", "plan", "down"], &["--help"], &["--version"]]
    {
        let mut command = cloud.bare("laptop");
        let output =
            command.args(arguments).stdin(Stdio::null()).stdout(closed()).stderr(Stdio::piped()).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), talk.contains("rror")), (Some(0), false), "{arguments:?}: {talk}");
    }
    // Talk that nobody hears is none either; work is done.
    let mut command = launch(&cloud, &["--yes", "-o", "jsonl"]);
    let status = command.stdin(Stdio::null()).stdout(closed()).stderr(closed()).status().unwrap();
    assert_eq!((status.code(), cloud.live("five").len()), (Some(0), 5));
    // A full disk is one.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = cloud.bare("laptop");
    let output = command.arg("status").stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"), "{output:?}");
}
