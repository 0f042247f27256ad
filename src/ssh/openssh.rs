//! How OpenSSH's own client is made to trust a host by the key that was pinned for its instance, and by nothing else.

use crate::model::Host;
use std::path::{Path, PathBuf};

/// What every host of a fleet has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSsh {
    /// The login.
    pub user: String,
    /// Private keys that are tried, too.
    pub identity: Vec<PathBuf>,
    /// The fleet's store of host keys, by instance id.
    pub known_hosts: PathBuf,
}

/// A path that can't be written into a configuration of OpenSSH: it would be read as something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tell OpenSSH the path {}: it has a quote, a line feed, a backslash, braces or `$` in it", path.display())]
pub struct Unspeakable {
    path: PathBuf,
}

impl OpenSsh {
    /// Everything about a host as lines of `ssh_config`, without its address: keyword and value, quoted as need be. All but
    /// port, login and keys pins the host: an alias instead of the address, so that an address that is given out again is
    /// no riddle; our own file of keys and none else, never written to by ssh; no connection shared with whoever had the
    /// address before.
    ///
    /// # Errors
    ///
    /// When a path can't be written down.
    pub fn options(&self, host: &Host) -> Result<Vec<(&'static str, String)>, Unspeakable> {
        let mut options = vec![
            ("Port", host.address.port.to_string()),
            ("User", self.user.clone()),
            ("HostKeyAlias", host.id.to_string()),
            ("UserKnownHostsFile", quoted(&self.known_hosts)?),
            ("GlobalKnownHostsFile", "/dev/null".to_owned()),
            ("StrictHostKeyChecking", "yes".to_owned()),
            ("VerifyHostKeyDNS", "no".to_owned()),
            ("UpdateHostKeys", "no".to_owned()),
            ("ControlPath", "none".to_owned()),
        ];
        for file in &self.identity {
            options.push(("IdentityFile", quoted(file)?));
        }
        Ok(options)
    }

    /// Arguments for `ssh`, the address last; what follows is the command. The address stands there as it is, so that the
    /// user's own configuration (a jump host for `10.*`, say) applies.
    ///
    /// # Errors
    ///
    /// When a path can't be written down.
    pub fn arguments(&self, host: &Host) -> Result<Vec<String>, Unspeakable> {
        let mut arguments = Vec::new();
        for (keyword, value) in self.options(host)? {
            arguments.extend(["-o".to_owned(), format!("{keyword}={value}")]);
        }
        arguments.extend(["--".to_owned(), host.address.host.clone()]);
        Ok(arguments)
    }
}

/// A path within double quotes, its percent signs doubled: ssh expands them.
fn quoted(path: &Path) -> Result<String, Unspeakable> {
    let unspeakable = || Unspeakable { path: path.to_owned() };
    let path = std::path::absolute(path).map_err(|_| unspeakable())?;
    let text = path.to_str().ok_or_else(unspeakable)?;
    if text.contains(|c: char| c.is_control() || matches!(c, '"' | '\'' | '\\' | '$' | '{' | '}')) {
        return Err(unspeakable());
    }
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;

    fn host() -> Host {
        Host {
            slot: 3,
            id: "i-1".into(),
            address: Address { host: "10.0.0.7".into(), port: 2222 },
            user: "ec2-user".into(),
        }
    }

    #[test]
    fn a_host_is_pinned() {
        let ssh = OpenSsh {
            user: "ec2-user".into(),
            identity: vec!["/k/my key".into()],
            known_hosts: "/s/100% mine/known_hosts".into(),
        };
        insta::assert_snapshot!(ssh.arguments(&host()).unwrap().join("\n"));
    }

    #[test]
    fn a_path_that_would_be_read_otherwise_is_refused() {
        for path in ["/a\"b", "/a\nb", "/a${HOME}", "/a'b", "/{{ x }}"] {
            let ssh = OpenSsh { user: "u".into(), identity: Vec::new(), known_hosts: path.into() };
            assert!(ssh.options(&host()).is_err(), "{path}");
        }
    }
}
