//! User data of hosts: the host unit first, then what the spec's own file says.

use super::token::digest;
use crate::model::Partition;
use crate::spec::Fleet;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// The script that installs the host unit, the worker's service still to be put in.
const HOST: &str = include_str!("host.sh");

/// Most user data before base64 (RunInstances, API reference).
pub const LIMIT: usize = 16 * 1024;

/// What the host unit does with the worker.
#[derive(Clone, Debug, Default)]
pub struct Unit<'a> {
    /// The service that it stops before the host ends; empty where there is no worker.
    pub service: &'a str,
    /// How long the service stays up before it is restarted; as long as it likes if absent.
    pub restart_every: Option<Duration>,
    /// The steps of the drain playbook in place of the stop, as tar.gz, [`INSTANCE_ID`] in place of the host's own id.
    pub drain: Option<&'a [u8]>,
    /// The login user, whom the drain's files belong to.
    pub user: &'a str,
    /// Where the service's log goes before the end, as a path in S3: percent-encoded where S3's signatures want that.
    pub logs: Option<String>,
    /// The fleet's own region.
    pub region: &'a str,
}

/// Stands in a drain's steps for the id that its host will have.
pub const INSTANCE_ID: &str = "@instance-id@";

impl<'a> Unit<'a> {
    /// As the spec says.
    pub fn of(fleet: &'a Fleet, drain: Option<&'a [u8]>) -> Self {
        fleet.worker.as_ref().map_or_else(Self::default, |worker| Self {
            service: &worker.service,
            restart_every: worker.restart_every,
            drain,
            user: &fleet.ssh.user,
            logs: worker
                .logs_to
                .as_ref()
                .map(|logs| encoded(&format!("{}/{}{}", logs.bucket, logs.prefix, fleet.name))),
            region: fleet.region.as_str(),
        })
    }
}

/// A path whose letters stand for themselves or are percent-encoded, slashes apart: what curl signs is then what S3 reads.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().fold(String::new(), |mut out, byte| {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
        out
    })
}

/// Puts the host unit before the spec's own user data.
///
/// A script of the spec's is carried inside ours, byte for byte, and run after the unit has begun. Anything else that
/// cloud-init understands (cloud-config, boothooks ...) becomes the second part of a MIME multipart archive, cloud-init's
/// own format for several parts.
/// What would be too long for EC2 goes as gzip, which cloud-init unpacks.
pub fn compose(own: Option<&[u8]>, unit: &Unit<'_>) -> Vec<u8> {
    let plain = plain(own, unit);
    if plain.len() <= LIMIT {
        return plain;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Memory takes every write.
    gzip.write_all(&plain).and_then(|()| gzip.finish()).unwrap_or(plain)
}

fn plain(own: Option<&[u8]>, unit: &Unit<'_>) -> Vec<u8> {
    // The name of a unit has no character that a shell's single quotes would not keep.
    let every = unit.restart_every.map(|every| every.as_secs().to_string()).unwrap_or_default();
    let drain = data_encoding::BASE64.encode(unit.drain.unwrap_or_default());
    // A unit file takes no name without its kind, as systemctl does.
    let before = match unit.service.trim_end_matches(".service") {
        "" => String::new(),
        service => format!("Before={service}.service\n"),
    };
    let given = [
        ("@before@", before.as_str()),
        ("@service@", unit.service),
        ("@every@", &every),
        ("@user@", unit.user),
        ("@drain@", &drain),
        ("@logs@", unit.logs.as_deref().unwrap_or_default()),
        ("@region@", unit.region),
        ("@domain@", Partition::of(unit.region).domain),
    ];
    let unit = given.iter().fold(HOST.to_owned(), |text, (place, value)| text.replace(place, value));
    match own {
        None => unit.into_bytes(),
        Some(script) if script.starts_with(b"#!") => {
            let encoded = data_encoding::BASE64.encode(script);
            format!(
                "{unit}\nprintf %s '{encoded}' | base64 -d >/opt/fleetwright/user-data &&\n    \
                 chmod 700 /opt/fleetwright/user-data &&\n    exec /opt/fleetwright/user-data\n"
            )
            .into_bytes()
        }
        Some(other) => multipart(&unit, other),
    }
}

/// Two parts (RFC 2046, section 5.1); the boundary is a digest of the content, so the same input makes the same bytes.
fn multipart(unit: &str, own: &[u8]) -> Vec<u8> {
    let boundary = format!("fleetwright-{}", digest(&[&data_encoding::BASE64.encode(own)]));
    let part = |kind: &str, name: &str, bytes: &[u8]| {
        format!(
            "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{}\r\n",
            data_encoding::BASE64.encode(bytes)
        )
    };
    let kind = if own.starts_with(b"#cloud-boothook") {
        "text/cloud-boothook"
    } else if own.starts_with(b"#include") {
        "text/x-include-url"
    } else {
        "text/cloud-config"
    };
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\nMIME-Version: 1.0\r\n\r\n{}{}--{boundary}--\r\n",
        part("text/x-shellscript", "fleetwright-host.sh", unit.as_bytes()),
        part(kind, "user-data", own)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PlayKind, PlayStep};
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn the_unit_is_in_every_form_and_the_own_script_is_kept_byte_for_byte() {
        let own: &[u8] = b"#!/bin/sh\necho 'it''s mine' \"$HOME\"\n";
        let given =
            Unit { service: "crawl@1.service", restart_every: Some(Duration::from_hours(6)), ..Unit::default() };
        let unit = String::from_utf8(compose(None, &given)).unwrap();
        assert!(unit.contains("\nservice='crawl@1.service' every='21600' logs=''\n"));
        let none = Unit::default();
        assert!(unit.contains(&format!("\nExecStart={}\n", crate::model::HOST_UNIT)));
        assert!(String::from_utf8(compose(None, &none)).unwrap().contains("\nservice='' every='' logs=''\n"));
        let text = String::from_utf8(compose(Some(own), &given)).unwrap();
        assert!(text.starts_with(&unit));
        let encoded = text.split("printf %s '").last().unwrap().split('\'').next().unwrap();
        assert_eq!(data_encoding::BASE64.decode(encoded.as_bytes()).unwrap(), own);
        let config: &[u8] = b"#cloud-config\npackages: [jq]\n";
        let mime = String::from_utf8(compose(Some(config), &none)).unwrap();
        assert!(mime.starts_with("Content-Type: multipart/mixed"));
        assert!(mime.contains(&data_encoding::BASE64.encode(config)));
        assert!(mime.contains(&data_encoding::BASE64.encode(&compose(None, &none))));
        assert_eq!(compose(Some(config), &none), compose(Some(config), &none));
    }

    #[test]
    fn what_is_too_long_is_packed() {
        let line = "echo the same again and again\n".repeat(1000);
        let packed = compose(Some(format!("#!/bin/sh\n{line}").as_bytes()), &CRAWL);
        assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() < LIMIT, "{}", packed.len());
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
        assert!(unpacked.starts_with(&String::from_utf8(compose(None, &CRAWL)).unwrap()));
    }

    #[test]
    fn every_shell_reads_the_scripts() {
        let all = String::from_utf8(compose(None, &CRAWL)).unwrap();
        for script in [&all, &loop_of(&all)] {
            for shell in [&["sh"][..], &["dash"], &["bash"], &["busybox", "sh"]] {
                let read = match Command::new(shell[0]).args(&shell[1..]).args(["-n", "-c", script]).output() {
                    Err(missing) if missing.kind() == std::io::ErrorKind::NotFound && shell[0] != "sh" => continue,
                    read => read.unwrap(),
                };
                assert!(read.status.success() && read.stderr.is_empty(), "{shell:?}: {read:?}");
            }
        }
    }

    /// The loop that the script writes to a host.
    fn loop_of(all: &str) -> String {
        let inner = all.split("<<'HOST'\n").nth(1).and_then(|rest| rest.split("\nHOST\n").next());
        inner.unwrap().to_owned()
    }

    /// Stands for curl: without the token nothing is answered, and what is not there is an error. S3 takes everything, from the
    /// second time on where that is wanted.
    const CURL: &str = "case $* in\n*--aws-sigv4*) [ ! -e \"$HOME/meta/later\" ] || { rm \"$HOME/meta/later\"; echo 000; exit 6; }; printf 'curl %s\\n' \"$*\" >>\"$HOME/log\"; cat >>\"$HOME/log\"; echo 200; exit ;;\n*/latest/api/token) echo token; exit ;;\n*'metadata-token: token '*) ;;\n*) exit 22 ;;\nesac\n\
        cat \"$HOME/meta/$(printf %s \"${*##*/latest/meta-data/}\" | tr / ,)\" 2>/dev/null || exit 22\n";
    /// Stands for sleep: waits until a drain that has begun is over, and ends the loop after the last look.
    const SLEEP: &str = "tries=0\n\
        while grep -q 'restarting it' \"$HOME/log\" && [ -e \"$HOME/meta/later\" ]; do /bin/sleep 0.01; done\n\
        while grep -q 'worker finishes' \"$HOME/log\" && [ ! -e \"$HOME/run/drained\" ] && [ ! -e \"$HOME/refused\" ] &&\n\
        [ $tries -lt 500 ]; do /bin/sleep 0.01; tries=$((tries + 1)); done\n\
        [ ! -e \"$HOME/refused\" ] || { rm \"$HOME/refused\"; /bin/sleep 0.05; }\n\
        n=$(cat \"$HOME/looks\")\necho $((n - 1)) >\"$HOME/looks\"\n[ \"$n\" -gt 1 ] || kill $PPID\n";

    /// The worker of these tests.
    const CRAWL: Unit<'_> = Unit {
        service: "crawl",
        restart_every: Some(Duration::from_secs(1000)),
        drain: None,
        user: "ops",
        logs: None,
        region: "us-east-1",
    };

    /// What the loop does in four looks, while the metadata service answers this and `systemctl is-active` that.
    fn done(metadata: &[(&str, &str)], worker: &str) -> Vec<String> {
        done_after(0, metadata, worker)
    }

    /// The same with a worker that has been up for so many seconds.
    fn done_after(up: u32, metadata: &[(&str, &str)], worker: &str) -> Vec<String> {
        done_by(&CRAWL, up, metadata, worker)
    }

    /// The same by a unit that was told something else.
    fn done_by(unit: &Unit<'_>, up: u32, metadata: &[(&str, &str)], worker: &str) -> Vec<String> {
        done_when(&[], unit, up, metadata, worker)
    }

    /// The same where the unit's script is called with these arguments.
    fn done_when(arguments: &[&str], unit: &Unit<'_>, up: u32, metadata: &[(&str, &str)], worker: &str) -> Vec<String> {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let tell = "echo \"${0##*/} $*\" >>\"$HOME/log\"\n";
        let stop = format!(
            "up=$(cut -d . -f 1 /proc/uptime)\n\
             [ \"$1\" = show ] && {{ echo \"$3=$(((up - {up}) * 1000000))\"; exit; }}\n\
             [ \"$1\" = is-system-running ] && {{ cat \"$HOME/meta/system\"; exit; }}\n\
             [ \"$1\" = is-active ] && {{ [ {worker} = inactive ] || : >\"$HOME/refused\"; echo {worker}; exit; }}\n{tell}\
             [ \"$1\" = stop ] && : >\"$HOME/stopped\"\n\
             [ \"$1\" = try-restart ] && [ -e \"$HOME/meta/later\" ] || exit 0\n\
             mv \"$HOME/meta/later\" \"$HOME/meta/spot,instance-action\"\n\
             tries=0\nuntil [ -e \"$HOME/stopped\" ] || [ $tries -gt 500 ]; do /bin/sleep 0.01; tries=$((tries + 1)); done\n\
             echo over >>\"$HOME/log\"\n"
        );
        for (name, text) in [
            ("curl", CURL),
            ("sleep", SLEEP),
            ("logger", tell),
            ("poweroff", tell),
            ("journalctl", "echo a line\n"),
            ("flock", "exec [ ! -e \"$HOME/meta/pushed\" ]\n"),
            ("systemctl", stop.as_str()),
        ] {
            write(&format!("bin/{name}"), &format!("#!/bin/sh\n{text}"));
        }
        write("looks", "4");
        write("var/lock", "");
        write("log", "");
        write("meta/tags,instance", "Name");
        for (path, answer) in metadata {
            write(&format!("meta/{}", path.replace('/', ",")), answer);
        }
        write("opt/drain", &data_encoding::BASE64.encode(unit.drain.unwrap_or_default()));
        let script = loop_of(&String::from_utf8(compose(None, unit)).unwrap());
        let script = script.replace("/opt/fleetwright", &home.path().join("opt").display().to_string());
        let script = script.replace("/run/fleetwright", &home.path().join("run").display().to_string());
        let script = script.replace("/var/lib/fleetwright", &home.path().join("var").display().to_string());
        let path = format!("{}:{}", home.path().join("bin").display(), std::env::var("PATH").unwrap());
        Command::new("sh")
            .args(["-c", &script, "host"])
            .args(arguments)
            .env("PATH", path)
            .env("HOME", home.path())
            .env_remove("AWS_ENDPOINT_URL")
            .output()
            .unwrap();
        let log = fs::read_to_string(home.path().join("log")).unwrap();
        log.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn the_worker_is_drained_once_and_the_host_ends_only_where_nobody_else_ends_it() {
        let target = "autoscaling/target-lifecycle-state";
        assert_eq!(done(&[(target, "InService")], "active"), Vec::<String>::new());
        let spot = ("spot/instance-action", r#"{"action":"terminate","time":"2026-11-21T08:02:00Z"}"#);
        let drained = ["systemctl stop crawl", "logger -t fleetwright the worker has finished"];
        let took = done(&[(target, "InService"), spot], "inactive");
        assert_eq!(took[1..], drained, "{took:?}");
        assert!(took[0].contains("EC2 takes this host back: {\"action\""), "{took:?}");
        let off =
            [&drained[..], &["logger -t fleetwright drained for Auto Scaling, powering off", "poweroff"]].concat();
        let took = done(&[(target, "Terminated"), spot], "inactive");
        assert_eq!(took[1..5], off, "{took:?}");
        // A protected host is drained, and left to Auto Scaling.
        let took = done(&[(target, "Terminated"), ("tags/instance", "Name\nfleetwright:protect")], "inactive");
        assert_eq!(took[1..], drained, "{took:?}");
        // A worker that does not stop is asked again, and the host stays.
        let took = done(&[(target, "Terminated")], "active");
        assert!(took.iter().filter(|line| *line == drained[0]).count() > 1, "{took:?}");
        assert!(!took.iter().any(|line| line == "poweroff"), "{took:?}");
    }

    #[test]
    fn the_drain_playbook_comes_with_user_data_and_is_tried_until_it_succeeds() {
        let step = |kind| PlayStep { name: String::new(), timeout: Duration::from_secs(9), retries: 0, kind };
        let asked = r#"echo "play @instance-id@" >>"$HOME/log""#.to_owned();
        let quiet = r#"test -e "$HOME/quiet" || { : >"$HOME/quiet"; : >"$HOME/refused"; exit 7; }"#.to_owned();
        let steps = [step(PlayKind::Run { script: asked }), step(PlayKind::Check { script: quiet })];
        let drain = crate::ssh::bundle(&steps).unwrap();
        let user_data = String::from_utf8(compose(None, &Unit { drain: Some(&drain), ..CRAWL })).unwrap();
        assert!(user_data.contains(&format!("printf %s '{}'", data_encoding::BASE64.encode(&drain))));
        let metadata = [("instance-id", "i-0bbbbbbbbbbbbbbbb"), ("spot/instance-action", "{}")];
        let took = done_by(&Unit { drain: Some(&drain), ..CRAWL }, 0, &metadata, "active");
        let begun = "logger -t fleetwright EC2 takes this host back: {}, the worker finishes what it has";
        let asked = "play i-0bbbbbbbbbbbbbbbb";
        let failed = "logger -t fleetwright step 2 of worker.drain failed";
        assert_eq!(took, [begun, asked, failed, begun, asked, "logger -t fleetwright the worker has finished"]);
    }

    #[test]
    fn the_log_goes_to_s3_once_before_the_end_and_no_argument_shows_a_secret() {
        let keys = "{\n  \"AccessKeyId\" : \"ASIA1\",\n  \"SecretAccessKey\" : \"a/b+c\",\n  \"Token\" : \"t=\"\n}";
        let end = ("autoscaling/target-lifecycle-state", "Terminated");
        let profile = [("iam,security-credentials,", "crawler"), ("iam/security-credentials/crawler", keys)];
        let unit = Unit { logs: Some(encoded("ops-logs/a+b/five")), ..CRAWL };
        let took = done_by(&unit, 0, &[end, ("instance-id", "i-0"), profile[0], profile[1]], "inactive");
        let [_, stop, put, user, token, told, finished, off, power] = &took[..9] else { panic!("{took:?}") };
        assert_eq!(
            (stop.as_str(), finished.as_str()),
            ("systemctl stop crawl", "logger -t fleetwright the worker has finished")
        );
        assert!(put.contains("-K - --aws-sigv4 aws:amz:us-east-1:s3 -T ") && put.contains("/run/log."), "{put}");
        assert!(put.contains(" https://s3.us-east-1.amazonaws.com/ops-logs/a%2Bb/five/i-0/2"), "{put}");
        assert!(!put.contains("a/b+c") && !put.contains("t="), "{put}");
        assert_eq!(
            (user.as_str(), token.as_str()),
            ("user = \"ASIA1:a/b+c\"", "header = \"x-amz-security-token: t=\"")
        );
        assert_eq!(told, "logger -t fleetwright the worker's log is in s3://ops-logs/a%2Bb/five");
        assert!(off.contains("drained for Auto Scaling") && power == "poweroff", "{took:?}");
        assert_eq!(took.iter().filter(|line| line.starts_with("curl ")).count(), 1, "{took:?}");
        // What S3 did not take at first it gets before the end.
        let later = ("later", "");
        let took = done_by(&unit, 0, &[end, ("instance-id", "i-0"), profile[0], profile[1], later], "inactive");
        let told = took.iter().filter(|line| line.contains("the worker's log")).collect::<Vec<_>>();
        assert!(told[0].ends_with("is not in s3://ops-logs/a%2Bb/five:"), "{took:?}");
        assert!(told[1].ends_with("log is in s3://ops-logs/a%2Bb/five") && told.len() == 2, "{took:?}");
        // Whoever ends the host, systemd stops the unit after the worker; not where the unit alone is stopped.
        let going = |system| {
            let told = [("system", system), ("instance-id", "i-0"), profile[0], profile[1]];
            done_when(&["stopped"], &unit, 0, &told, "inactive")
        };
        let took = going("stopping");
        assert!(took[0].starts_with("curl ") && took[3].contains("log is in s3://") && took.len() == 4, "{took:?}");
        assert_eq!(going("running"), Vec::<String>::new());
        // Without a profile it is said, and the host ends all the same; with an end of its own the log goes first.
        let expires = ("tags/instance/fleetwright:expires", "2001-01-01T00:00:00Z");
        let took = done_by(&unit, 0, &[expires, ("instance-id", "i-0")], "active");
        let lost = "logger -t fleetwright the worker's log is not in s3://ops-logs/a%2Bb/five: the host has no instance profile";
        assert_eq!((took[0].as_str(), took[2].as_str()), (lost, "poweroff"), "{took:?}");
        let chinese = Unit { region: "cn-north-1", ..CRAWL };
        assert!(
            String::from_utf8(compose(None, &chinese)).unwrap().contains(":-https://s3.cn-north-1.amazonaws.com.cn}")
        );
    }

    #[test]
    fn a_worker_that_has_been_up_for_too_long_is_restarted_not_everywhere_at_once() {
        let id = |id| ("instance-id", id);
        // 1000 seconds less a part of their quarter that POSIX's cksum gives.
        for (host, after) in [("i-0123456789abcdef0", 769), ("i-0bbbbbbbbbbbbbbbb", 953)] {
            assert_eq!(done_after(after - 9, &[id(host)], "active"), Vec::<String>::new());
            let took = done_after(after + 9, &[id(host)], "active");
            assert_eq!(took.len(), 2, "once in a minute: {took:?}");
            assert!(took[0].contains("crawl has been up for "), "{took:?}");
            assert_eq!(took[1], "systemctl try-restart crawl");
        }
        // Neither where somebody stopped it nor while it is drained.
        assert_eq!(done_after(2000, &[id("i-0")], "inactive"), Vec::<String>::new());
        // Nor while a push is at it.
        assert_eq!(done_after(2000, &[id("i-0"), ("pushed", "")], "active"), Vec::<String>::new());
        // One that waits for the item in hand does not keep a drain waiting.
        let took = done_after(2000, &[id("i-0"), ("later", "{}")], "active");
        assert!(took[2].contains("EC2 takes this host back") && took[3] == "systemctl stop crawl", "{took:?}");
        let spot = ("spot/instance-action", "{}");
        let took = done_after(2000, &[id("i-0"), spot], "inactive");
        assert!(!took.iter().any(|line| line.contains("restart")), "{took:?}");
    }

    #[test]
    fn an_expired_host_ends_itself_and_advice_is_only_told() {
        let expires = "tags/instance/fleetwright:expires";
        let over = done(&[(expires, "2001-01-01T00:00:00.5Z")], "active");
        let off = ["logger -t fleetwright expired at 2001-01-01T00:00:00.5Z, powering off", "poweroff"];
        assert_eq!(over, off);
        let keys = ("tags/instance", "fleetwright:expires\nfleetwright:protect");
        assert_eq!(done(&[(expires, "2001-01-01T00:00:00Z"), keys], "active"), Vec::<String>::new());
        let advice = ("events/recommendations/rebalance", r#"{"noticeTime": "2026-11-21T08:00:00Z"}"#);
        let told = done(&[(expires, "2999-01-01T00:00:00Z"), advice], "active");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("recommends to replace"), "{told:?}");
    }
}
