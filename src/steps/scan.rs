//! The scan for what must not be copied forty times: private keys and cloud credentials fail it, so do host keys that no
//! copy would make anew; what every host makes anew is cleaned when an image is about to be taken.

use super::Steps;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::plan::token::digest;
use crate::ssh::{Input, Limits, output};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// What a verification leaves for the image that rests on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// Digest over all that was looked at.
    pub digest: String,
    /// The template.
    pub instance: String,
    /// The boot that was looked at.
    pub boot_id: String,
    /// Digest of the verify playbook, where there is one.
    pub playbook: Option<String>,
}

/// Looks for secrets below the usual places; prints `fail|clean|anew <tab> path <tab> why`. Runs as root where sudo allows it.
/// Names decide what is opened: the data of a job may be millions of files.
const LOOK: &str = r#"
say() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }
key() {
    [ -f "$1" ] && head -c 4096 "$1" 2>/dev/null | grep -Eq 'PRIVATE KEY-----|PuTTY-User-Key' && say fail "$1" 'a private key'
}
# What is mounted there is data of the job, or not on this disk at all.
set --
while read -r _ _ _ _ at _; do
    case $at in /root/* | /home/* | /opt/* | /srv/*) set -- "$@" -path "$at" -prune -o ;; esac
done </proc/self/mountinfo
find /root /home /opt /srv -maxdepth 6 "$@" -type f \
    \( -path '*/.ssh/*' -o -name 'id_*' -o -name '*.pem' -o -name '*.key' -o -name '*.ppk' \) -print 2>/dev/null |
    while IFS= read -r file; do key "$file"; done
for home in /root /home/*; do
    [ -d "$home" ] || continue
    for file in .aws/credentials .aws/sso .aws/cli .git-credentials .netrc .docker/config.json .config/gcloud .azure; do
        [ -e "$home/$file" ] && say fail "$home/$file" 'credentials'
    done
    for file in .bash_history .zsh_history .python_history .mysql_history .psql_history .lesshst; do
        [ -s "$home/$file" ] && say clean "$home/$file" 'a history'
    done
done
for file in /etc/environment /etc/profile.d/* /etc/default/* /etc/sysconfig/* /etc/systemd/system/*.service \
    /etc/systemd/system/*.d/*.conf /root/.*rc /root/.profile /home/*/.*rc /home/*/.profile; do
    [ -f "$file" ] && grep -Eiq 'aws_secret_access_key["'\'']?[[:space:]]*[=:][[:space:]]*["'\'']?[A-Za-z0-9/+]' "$file" &&
        say fail "$file" 'a secret access key'
done
for file in /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg; do
    [ -f "$file" ] && grep -Eq '^[[:space:]]*ssh_deletekeys:[[:space:]]*(false|no|0)' "$file" &&
        say fail "$file" 'ssh_deletekeys is off: every copy would have the same host keys'
done
if [ -n "$(ls /etc/ssh/ssh_host_*_key 2>/dev/null)" ]; then
    if command -v cloud-init >/dev/null 2>&1; then
        say anew '/etc/ssh/ssh_host_*_key' 'host keys, by cloud-init'
    else
        say fail '/etc/ssh/ssh_host_*_key' 'host keys, and no cloud-init that would make new ones'
    fi
fi
[ -s /etc/machine-id ] && say clean /etc/machine-id 'the machine id'
exit 0
"#;

/// Empties what the look called clean: hosts make it anew at their first boot.
const CLEAN: &str = r#"
while IFS= read -r file; do
    : > "$file" || exit 1
done
"#;

/// What has to be done about a thing that must not be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// The operator has to take it off the template.
    Fail,
    /// Emptying it is enough.
    Clean,
    /// Nothing: every copy makes its own at its first boot.
    Anew,
}

/// One thing that the scan found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    kind: Kind,
    path: String,
    why: String,
}

impl Steps {
    /// Scans the template; in a bake what may be cleaned is cleaned, in a verification it is only told.
    pub(super) async fn scan(&self) -> Result<Done, Failure> {
        let (host, session) = self.enter_template().await?;
        let limits = Limits { timeout: Duration::from_mins(2), max_output: 256 * 1024 };
        let what = "look for what must not be copied";
        let text = self.on_template(&session, &host.id, what, &as_root(LOOK), Input::Empty, limits).await?;
        let boot_id = self
            .on_template(
                &session,
                &host.id,
                "read the boot id",
                "cat /proc/sys/kernel/random/boot_id",
                Input::Empty,
                limits,
            )
            .await?
            .trim()
            .to_owned();
        let findings = parse(&text);
        let secrets: Vec<String> =
            findings.iter().filter(|finding| finding.kind == Kind::Fail).map(Finding::told).collect();
        if !secrets.is_empty() {
            return Err(Failure::to(
                Exit::Refused,
                format!("scan {}: every copy would carry {}", host.id, secrets.join(", ")),
            )
            .hint("take them off the template; hosts get secrets by their instance profile or over SSH"));
        }
        let of = |kind| findings.iter().filter(move |finding| finding.kind == kind);
        let cleanable: Vec<&Finding> = of(Kind::Clean).collect();
        let bake = self.plan.verb == "bake";
        if bake && !cleanable.is_empty() {
            let list = cleanable.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>().join("\n") + "\n";
            let stdin = Input::Bytes(list.into_bytes().into());
            self.on_template(&session, &host.id, "clean what copies make anew", &as_root(CLEAN), stdin, limits).await?;
        }
        session.close().await;
        let playbook = self.verify.as_ref().map(|playbook| playbook.digest.clone());
        let attestation = Attestation {
            digest: digest(&[
                &self.fleet.digest,
                host.id.as_str(),
                playbook.as_deref().unwrap_or_default(),
                &boot_id,
                &self.run.to_string(),
            ]),
            instance: host.id.to_string(),
            boot_id,
            playbook,
        };
        let mut detail = "no key, no credentials".to_owned();
        let cleaned = if bake { "cleaned" } else { "to be cleaned by bake" };
        for (kind, what) in [(Kind::Clean, cleaned), (Kind::Anew, "made anew by every copy")] {
            let told: Vec<String> = of(kind).map(Finding::told).collect();
            if !told.is_empty() {
                detail = format!("{detail}; {what}: {}", told.join(", "));
            }
        }
        Ok(Done::new(json!({ "attestation": attestation, "findings": findings }), detail))
    }
}

impl Finding {
    fn told(&self) -> String {
        format!("{} ({})", output::line(&self.path), self.why)
    }
}

/// A script through sh, as root where we are not root already.
pub(super) fn as_root(script: &str) -> String {
    let quoted = crate::model::shell_word(script);
    format!("if [ \"$(id -u)\" = 0 ]; then sh -c {quoted}; else sudo -n sh -c {quoted}; fi")
}

fn parse(text: &str) -> Vec<Finding> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, '\t');
            let kind = fields.next()?;
            let path = fields.next()?.to_owned();
            let why = fields.next()?.to_owned();
            let kind = match kind {
                "fail" => Kind::Fail,
                "clean" => Kind::Clean,
                "anew" => Kind::Anew,
                _ => return None,
            };
            Some(Finding { kind, path, why })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read_and_noise_is_not() {
        let found = parse("fail\t/root/.ssh/id\ta private key\nmotd: hello\nclean\t/etc/machine-id\tthe machine id\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[1].kind), (Kind::Fail, Kind::Clean));
        assert_eq!(found[1].path, "/etc/machine-id");
    }
}
