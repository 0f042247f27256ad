//! Reads the user's own known_hosts as OpenSSH does: hashed names, patterns, negation, revoked keys.

use super::PublicKey;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use sha1::Sha1;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The lines of one or more known_hosts files.
#[derive(Clone, Debug, Default)]
pub struct UserKnownHosts {
    entries: Vec<Entry>,
    /// The first of the files: a line that is added goes there.
    file: Option<PathBuf>,
}

/// What the files say about one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Keys it may show.
    pub(super) keys: Vec<PublicKey>,
    /// Keys it must not show.
    pub(super) revoked: Vec<PublicKey>,
    /// Whether a certificate authority speaks for it, which is not supported.
    pub(super) authority: bool,
    /// The file that a line about it would count in.
    pub(super) file: Option<PathBuf>,
}

impl UserKnownHosts {
    /// Reads the files; one that is not there is empty, one that can't be read is an error. Lines that OpenSSH would
    /// pass over (unknown key types, garbage) are passed over here too.
    pub fn load(files: &[&Path]) -> std::io::Result<Self> {
        let mut entries = Vec::new();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => entries.extend(parse(&String::from_utf8_lossy(&bytes))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(std::io::Error::new(error.kind(), format!("{}: {error}", file.display()))),
            }
        }
        Ok(Self { entries, file: files.first().map(|file| (*file).to_owned()) })
    }

    /// All that is said about a host. A port other than 22 is looked up as `[host]:port`, as ssh does.
    pub(super) fn about(&self, host: &str, port: u16) -> Known {
        let host = host.to_ascii_lowercase();
        let name = if port == 22 { host } else { format!("[{host}]:{port}") };
        let mut known = Known { file: self.file.clone(), ..Known::default() };
        for entry in self.entries.iter().filter(|entry| matches(entry.host_patterns(), &name)) {
            let key = entry.public_key().clone();
            match entry.marker() {
                None => known.keys.push(key),
                Some(Marker::Revoked) => known.revoked.push(key),
                Some(Marker::CertAuthority) => known.authority = true,
            }
        }
        known
    }
}

fn parse(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.starts_with('#') { None } else { line.parse().ok() }
    };
    text.lines().filter_map(entry).collect()
}

fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(name.as_bytes()).verify_slice(hash).is_ok()),
        HostPatterns::Patterns(patterns) => {
            let mut matched = false;
            for pattern in patterns {
                match pattern.strip_prefix('!') {
                    Some(pattern) if glob(&pattern.to_ascii_lowercase(), name) => return false,
                    Some(_) => {}
                    None => matched |= glob(&pattern.to_ascii_lowercase(), name),
                }
            }
            matched
        }
    }
}

/// `*` and `?` as in OpenSSH; brackets mean themselves.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn about(text: &str, host: &str, port: u16) -> (usize, usize, bool) {
        let known = UserKnownHosts { entries: parse(text), file: None }.about(host, port);
        (known.keys.len(), known.revoked.len(), known.authority)
    }

    #[test]
    fn names_patterns_and_ports() {
        let text = format!(
            "# mine\n  10.0.0.1,Build.example {A} me\n*.prod,!bad.prod\t{A}\n[10.0.0.1]:2222 {B}\n\
             @revoked * {B}\n@cert-authority *.ca {A}\nnot a line\nhost ssh-foo AAAA\n"
        );
        assert_eq!(about(&text, "10.0.0.1", 22), (1, 1, false));
        assert_eq!(about(&text, "10.0.0.1", 2222), (1, 1, false));
        assert_eq!(about(&text, "10.0.0.1", 2223), (0, 1, false));
        assert_eq!(about(&text, "BUILD.example", 22), (1, 1, false));
        assert_eq!(about(&text, "a.prod", 22), (1, 1, false));
        assert_eq!(about(&text, "bad.prod", 22), (0, 1, false));
        assert_eq!(about(&text, "x.ca", 22), (0, 1, true));
    }

    #[test]
    fn hashed_names() {
        // Written by `ssh-keygen -H` for example.com.
        let line = format!("|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= {A}");
        let entry: Entry = line.parse().unwrap();
        let HostPatterns::HashedName { salt, .. } = entry.host_patterns() else { panic!("not hashed") };
        let mac = Hmac::<Sha1>::new_from_slice(salt).unwrap().chain_update(b"[10.0.0.7]:2200").finalize().into_bytes();
        let salt = data_encoding::BASE64.encode(salt);
        let line = format!("|1|{salt}|{} {A}", data_encoding::BASE64.encode(&mac));
        assert_eq!(about(&line, "10.0.0.7", 2200), (1, 0, false));
        assert_eq!(about(&line, "10.0.0.7", 22), (0, 0, false));
        assert_eq!(about(&format!("@revoked {line}"), "10.0.0.7", 2200), (0, 1, false));
    }

    proptest! {
        #[test]
        fn globbing_agrees_with_the_obvious_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn slow(p: &[u8], t: &[u8]) -> bool {
                match (p.first(), t.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => slow(&p[1..], t) || (!t.is_empty() && slow(p, &t[1..])),
                    (Some(b'?'), Some(_)) => slow(&p[1..], &t[1..]),
                    (Some(a), Some(b)) if a == b => slow(&p[1..], &t[1..]),
                    _ => false,
                }
            }
            prop_assert_eq!(glob(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
