//! The scan for what must not be copied forty times: private keys and cloud credentials fail it; what every host makes anew
//! is cleaned when an image is about to be taken.

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

/// Looks for secrets below the usual places; prints `fail|clean <tab> path <tab> why`. Runs as root where sudo allows it.
const LOOK: &str = r#"
say() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }
for home in /root /home/*; do
    [ -d "$home" ] || continue
    for file in "$home"/.ssh/*; do
        [ -f "$file" ] && head -c 4096 "$file" 2>/dev/null | grep -q 'PRIVATE KEY' && say fail "$file" 'a private key'
    done
    for file in .aws/credentials .aws/sso .aws/cli .git-credentials .netrc .docker/config.json .config/gcloud .azure; do
        [ -e "$home/$file" ] && say fail "$home/$file" 'credentials'
    done
    for file in .bash_history .zsh_history .python_history .mysql_history .psql_history .lesshst; do
        [ -s "$home/$file" ] && say clean "$home/$file" 'a history'
    done
done
for file in /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg; do
    [ -f "$file" ] && grep -Eq '^[[:space:]]*ssh_deletekeys:[[:space:]]*(false|no|0)' "$file" &&
        say fail "$file" 'ssh_deletekeys is off: every copy would have the same host keys'
done
[ -s /etc/machine-id ] && say clean /etc/machine-id 'the machine id'
exit 0
"#;

/// Empties what the look called clean: hosts make it anew at their first boot.
const CLEAN: &str = r#"
while IFS= read -r file; do
    : > "$file" || exit 1
done
"#;

/// One thing that the scan found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// Whether emptying it is enough.
    cleanable: bool,
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
        let secrets: Vec<String> = findings
            .iter()
            .filter(|finding| !finding.cleanable)
            .map(|finding| format!("{} ({})", output::line(&finding.path), finding.why))
            .collect();
        if !secrets.is_empty() {
            return Err(Failure::to(
                Exit::Refused,
                format!("scan {}: every copy would carry {}", host.id, secrets.join(", ")),
            )
            .hint("take them off the template; hosts get secrets by their instance profile or over SSH"));
        }
        let cleanable: Vec<&Finding> = findings.iter().filter(|finding| finding.cleanable).collect();
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
        let verb = if bake { "cleaned" } else { "would be cleaned before an image is taken" };
        let detail = match cleanable.len() {
            0 => "nothing that must not be copied".to_owned(),
            n => format!("no secret; {n} things {verb}"),
        };
        Ok(Done::new(json!({ "attestation": attestation, "findings": findings }), detail))
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
            matches!(kind, "fail" | "clean").then(|| Finding { cleanable: kind == "clean", path, why })
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
        assert!(!found[0].cleanable && found[1].cleanable);
        assert_eq!(found[1].path, "/etc/machine-id");
    }
}
