//! The moto server, microburst, and a way round the one gap of moto that a bake falls into.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server of somebody else's; ends with the test.
pub(super) struct Server {
    child: Child,
    authority: String,
}

impl Server {
    /// moto; its interpreter takes some seconds.
    pub(super) fn moto() -> Self {
        Self::start(&crate::env::test_tool("moto_server"), |port| vec!["-H", "127.0.0.1", "-p", port])
    }

    /// microburst, which hands calls on to `upstream`.
    pub(super) fn microburst(program: &Path, upstream: &str) -> Self {
        Self::start(program, |port| vec!["--host", "127.0.0.1", "--port", port, "--upstream", upstream])
    }

    fn start<'a>(program: &Path, arguments: impl FnOnce(&'a str) -> Vec<&'a str>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", "/nonexistent");
        if let Some(mark) = std::env::var_os("FLEETWRIGHT_TEST_RUN") {
            command.env("FLEETWRIGHT_TEST_RUN", mark);
        }
        command.args(arguments(port.clone().leak())).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, authority: format!("127.0.0.1:{port}") }
    }

    /// Its address, once it answers.
    pub(super) fn ready(&self) -> String {
        let begun = Instant::now();
        while TcpStream::connect(&self.authority).is_err() {
            assert!(begun.elapsed() < Duration::from_mins(1), "nobody listens on {}", self.authority);
            std::thread::sleep(Duration::from_millis(20));
        }
        self.authority.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// Hands every call on to moto, but takes the snapshot tags out of CreateImage, which moto answers with HTTP 500
/// (`create-image-tags-snapshots` of the gaps): all else about a bake is tried all the same.
pub(super) struct Detour {
    authority: String,
    dropped: Arc<AtomicUsize>,
}

impl Detour {
    /// Listens until the test ends.
    pub(super) fn start(moto: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let dropped = Arc::new(AtomicUsize::new(0));
        let (moto, count) = (moto.to_owned(), Arc::clone(&dropped));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (moto, count) = (moto.clone(), Arc::clone(&count));
                std::thread::spawn(move || hand_on(stream, &moto, &count));
            }
        });
        Self { authority, dropped }
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Calls whose snapshot tags were taken out.
    pub(super) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// One request and its answer; both connections end then.
fn hand_on(mut client: TcpStream, moto: &str, dropped: &AtomicUsize) {
    let mut request = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let (head, body) = loop {
        let read = client.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            return;
        }
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
            });
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
    };
    let kept = without_snapshot_tags(&body);
    if kept != body {
        dropped.fetch_add(1, Ordering::SeqCst);
    }
    let own = ["content-length", "connection"];
    let lines = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !own.contains(&name.as_str())
    });
    let head: Vec<&str> = lines.collect();
    let mut server = TcpStream::connect(moto).unwrap();
    let text = format!("{}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{kept}", head.join("\r\n"), kept.len());
    server.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap_or_default();
    client.write_all(&answer).unwrap_or_default();
}

/// The same form without the tag specification of snapshots, if it is a CreateImage that has one.
fn without_snapshot_tags(form: &str) -> String {
    if !form.split('&').any(|pair| pair == "Action=CreateImage") {
        return form.to_owned();
    }
    let gone =
        form.split('&').find_map(|pair| pair.strip_suffix(".ResourceType=snapshot")).map(|name| format!("{name}."));
    let kept = form.split('&').filter(|pair| !gone.as_ref().is_some_and(|gone| pair.starts_with(gone)));
    kept.collect::<Vec<_>>().join("&")
}
