//! One SSH connection to a host: who may log in, and which requests are granted.

use super::command;
use super::orders::{DEFAULT_USER, environment, home_of};
use super::root;
use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Sig};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// Longest `authorized_keys` that is read.
const KEYS_LIMIT: u64 = 256 * 1024;

/// What a login needs to know about the host.
#[derive(Debug)]
pub(super) struct Facts {
    /// `i-...`
    pub(super) id: String,
    /// This binary.
    pub(super) helper: PathBuf,
    /// The host's `/`, seen from outside.
    pub(super) root: PathBuf,
    /// Process that made the namespaces.
    pub(super) outer: i32,
    /// The host's first process.
    pub(super) init: i32,
    /// Environment of every process on the host.
    pub(super) env: BTreeMap<String, String>,
}

/// A channel on which nothing runs yet.
struct Waiting {
    channel: Channel<Msg>,
    env: BTreeMap<String, String>,
}

/// The server's side of one connection.
pub(super) struct Login {
    facts: Arc<Facts>,
    user: String,
    waiting: HashMap<ChannelId, Waiting>,
}

impl Login {
    /// A connection that nobody has logged in on yet.
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self { facts, user: String::new(), waiting: HashMap::new() }
    }

    /// Whether `key` may log in as `user`: by the user's own file, or while there is none by the default user's, since
    /// the name of an image's default user is its maker's choice.
    fn authorized(&self, user: &str, key: &PublicKey) -> bool {
        if !plausible(user) {
            return false;
        }
        let keys_of = |user: &str| {
            let path = home_of(user).join(".ssh/authorized_keys");
            root::read(&self.facts.root, path.strip_prefix("/").unwrap_or(&path), KEYS_LIMIT)
        };
        let Ok(text) = keys_of(user).or_else(|_| keys_of(DEFAULT_USER)) else { return false };
        listed(&text, key)
    }

    fn decide(&self, user: &str, key: &PublicKey) -> Auth {
        if self.authorized(user, key) { Auth::Accept } else { Auth::reject() }
    }
}

/// A login name as `useradd` would take it; anything else could name another place than a home.
fn plausible(user: &str) -> bool {
    let first = user.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    first && user.len() <= 32 && user.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c))
}

/// Whether an `authorized_keys` file holds this key. A line whose key has options in front counts too.
fn listed(text: &str, key: &PublicKey) -> bool {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(2).any(|pair| {
            PublicKey::from_openssh(&pair.join(" ")).is_ok_and(|listed| listed.key_data() == key.key_data())
        })
    })
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.decide(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        user.clone_into(&mut self.user);
        Ok(self.decide(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.waiting.insert(channel.id(), Waiting { channel, env: BTreeMap::new() });
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // sshd_config's `AcceptEnv LANG LC_*`, as distributions ship it.
        match self.waiting.get_mut(&channel).filter(|_| name == "LANG" || name.starts_with("LC_")) {
            Some(waiting) => {
                waiting.env.insert(name.to_owned(), value.to_owned());
                session.channel_success(channel)
            }
            None => session.channel_failure(channel),
        }
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(waiting) = self.waiting.remove(&channel) else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        let mut env = environment(&self.facts.env, &self.user);
        env.extend(waiting.env);
        let order = command::Order { command: command.to_vec(), home: home_of(&self.user), env };
        tokio::spawn(command::run(self.facts.clone(), order, waiting.channel, session.handle()));
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        let Some(waiting) = self.waiting.remove(&channel) else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        let handle = session.handle();
        tokio::spawn(async move {
            let text = "This rehearsal host has no interactive logins: give a command.\r\n";
            // A client that has hung up needs no explanation.
            waiting.channel.extended_data_bytes(1, text.as_bytes().to_vec()).await.ok();
            handle.exit_status_request(channel, 1).await.ok();
            waiting.channel.eof().await.ok();
            waiting.channel.close().await.ok();
        });
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.waiting.remove(&channel);
        Ok(())
    }
}

/// RFC 4254's name for a signal.
pub(super) fn signal_name(number: i32) -> Sig {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => match signal.as_str().trim_start_matches("SIG") {
            "ABRT" => Sig::ABRT,
            "ALRM" => Sig::ALRM,
            "FPE" => Sig::FPE,
            "HUP" => Sig::HUP,
            "ILL" => Sig::ILL,
            "INT" => Sig::INT,
            "KILL" => Sig::KILL,
            "PIPE" => Sig::PIPE,
            "QUIT" => Sig::QUIT,
            "SEGV" => Sig::SEGV,
            "TERM" => Sig::TERM,
            "USR1" => Sig::USR1,
            other => Sig::Custom(format!("{other}@fleetwright")),
        },
        Err(_) => Sig::Custom(format!("{number}@fleetwright")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_no_users() {
        assert!(["ec2-user", "ubuntu", "_svc", "a.b"].into_iter().all(plausible));
        assert!(!["", "..", "../root", "a/b", "Root", "-x", "a b"].into_iter().any(plausible));
    }

    #[test]
    fn keys_are_found_with_options_and_comments() {
        let key = |seed| super::super::cloudinit::generate(seed).unwrap().public_key().clone();
        let (ours, other) = (key("ours"), key("other"));
        let text = format!(
            "# a comment\n{}\nno-pty,command=\"x\" {}\n",
            other.to_openssh().unwrap(),
            ours.to_openssh().unwrap()
        );
        assert!(listed(&text, &ours) && listed(&text, &other));
        assert!(!listed(&text, &key("third")));
        assert!(!listed(&format!("# {}", ours.to_openssh().unwrap()), &ours));
    }
}
