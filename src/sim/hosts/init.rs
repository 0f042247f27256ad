//! A host's first process: makes its file system, boots it, serves its shims, and ends everything when told to.

use super::children::{Children, Output};
use super::cloudinit::{self, UserData};
use super::helper::report;
use super::namespace;
use super::orders::{Answer, Ask, BootOrder, CONTROL_SOCKET, Order, Report};
use super::services::Services;
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use russh::keys::ssh_key::LineEnding;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

/// How long units may take to stop at an orderly end; a real host gives them longer.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Boots the host and stays until its end. Must run as the first process of a new pid namespace.
pub(super) fn boot(order: &BootOrder) -> i32 {
    // Dies with the process that made the namespaces; the end of stdin, which is seen later, covers the rest. Said
    // twice, since the kernel may forget it when user namespaces are changed.
    let die_together = || nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).ok();
    die_together();
    let end = namespace::build(order).map_err(|e| e.to_string()).and_then(|()| {
        die_together();
        if order.probe {
            return report(&Report::Up { host_key: String::new() }).map_err(|e| e.to_string());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.block_on(live(order)).map_err(|e| e.to_string())
    });
    match end {
        Ok(()) => 0,
        Err(reason) => {
            report(&Report::Failed(reason)).ok();
            1
        }
    }
}

/// From the first console line to the end of stdin or an order to shut down.
async fn live(order: &BootOrder) -> io::Result<()> {
    let children = Children::new(order.env.clone());
    let services = Services::new(children.clone());
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut orders = BufReader::new(pipe::Receiver::from_file(stdin)?).lines();
    let shims = UnixListener::bind(CONTROL_SOCKET)?;
    let mut reaper = tokio::spawn(children.clone().reap());
    let mut boot = Box::pin(start(order, &children, &services));
    let mut booted = false;
    loop {
        tokio::select! {
            line = orders.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                match serde_json::from_str(&line)? {
                    // The first process itself is spared by the kernel.
                    Order::Kill => { kill(Pid::from_raw(-1), Signal::SIGKILL).ok(); }
                    Order::Shutdown => {
                        services.stop_all(STOP_LIMIT).await;
                        return Ok(());
                    }
                }
            }
            Ok((stream, _)) = shims.accept() => { tokio::spawn(answer(stream, services.clone())); }
            ended = &mut reaper => return ended.map_err(io::Error::other)?,
            result = &mut boot, if !booted => {
                booted = true;
                result?;
            }
        }
    }
}

/// One shim's question.
async fn answer(stream: UnixStream, services: Services) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let asked = stream.read_line(&mut line).await.ok().and_then(|_| serde_json::from_str::<Ask>(&line).ok());
    let Some(ask) = asked else { return };
    let told = |report_: Report| match report(&report_) {
        Ok(()) => Answer::default(),
        Err(e) => Answer { code: 1, out: String::new(), err: format!("{e}\n") },
    };
    let answer = match ask {
        Ask::Reboot => told(Report::Reboot),
        Ask::PowerOff => told(Report::PowerOff),
        Ask::Units { verb, units, now, signal, quiet } => services.control(verb, &units, now, signal, quiet).await,
    };
    let mut text = serde_json::to_string(&answer).unwrap_or_default();
    text.push('\n');
    // A shim that was killed does not hear it.
    stream.write_all(text.as_bytes()).await.ok();
}

/// Writes to the console.
fn say(text: &str) {
    // A console that nobody reads any more is no reason to stop.
    io::stderr().write_all(text.as_bytes()).ok();
}

/// The boot itself: keys, the operator's script, logins, user data, units, `rc.local`.
async fn start(order: &BootOrder, children: &Children, services: &Services) -> io::Result<()> {
    let begun = Instant::now();
    let version = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    say(&cloudinit::boot_lines(&order.hostname, version.trim()));
    let (key, first) = cloudinit::prepare(order)?;
    if first {
        let now = Timestamp::now().strftime("%b %e %T").to_string();
        say(&cloudinit::key_block(key.public_key(), &order.hostname, &now));
    }
    if first && let Some(script) = &order.setup {
        fs::write("/run/setup", script)?;
        let good = run(children, &["/bin/sh", "/run/setup"], "the operator's set-up").await;
        fs::remove_file("/run/setup")?;
        if !good {
            return Err(io::Error::other("the operator's set-up script did not succeed; see the console"));
        }
    }
    let host_key = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?.to_string();
    report(&Report::Up { host_key })?;

    let mut good = true;
    if first {
        good &= match cloudinit::user_data(order) {
            UserData::Nothing => true,
            UserData::Script(script) => {
                let path = cloudinit::store_script(&script)?;
                run(children, &[&path], "user data").await
            }
            UserData::Refused(kind) => {
                say(&format!(
                    "cloud-init[1]: user data that begins with `{kind}` is not there on a rehearsal host: scripts (#!) only\n"
                ));
                false
            }
        };
    }
    for failure in services.start_enabled().await {
        say(&format!("[FAILED] Failed to start {failure}\n"));
    }
    let local = Path::new("/etc/rc.local");
    if fs::metadata(local).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0) {
        run(children, &["/etc/rc.local", "start"], "rc.local").await;
    }
    fs::create_dir_all("/run/cloud-init")?;
    fs::write("/run/cloud-init/result.new", if good { "done" } else { "error" })?;
    fs::rename("/run/cloud-init/result.new", "/run/cloud-init/result")?;
    let now = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
    say(&cloudinit::finished_line(&now, begun.elapsed().as_secs_f64()));
    report(&Report::Finished)
}

/// Runs a boot hook to its end with its output on the console; says when it failed.
async fn run(children: &Children, words: &[&str], what: &str) -> bool {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let failure = match children.start(&words, &children.root_env(), Path::new("/"), &Output::Console) {
        Ok(child) => match child.wait().await {
            ending if ending.good() => return true,
            ending => ending.text(),
        },
        Err(e) => e.to_string(),
    };
    say(&format!("cloud-init[1]: WARNING: {what} failed: {failure}\n"));
    false
}
