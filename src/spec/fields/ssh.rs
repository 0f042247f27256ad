//! `ssh:` how hosts are reached.

use super::Field;
use super::kind::{Kind, SECTION, duration, list, whole, word};

const IDENTITY: Kind = Kind::Path("private key file");

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "ssh",
        SECTION,
        "{user: ec2-user, connect: private}",
        "How hosts are reached. Their host keys are learnt by instance id.",
    ),
    Field::new(
        "ssh.user",
        word("letters, digits, `.`, `_` and `-`", "^[A-Za-z0-9._][A-Za-z0-9._-]*$", 1, 32),
        "ubuntu",
        "The login name.",
    )
    .default("ec2-user")
    .source("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/managing-users.html"),
    Field::new("ssh.port", whole(1, 65_535), "2222", "The port of the hosts' SSH server.")
        .default("22")
        .source("https://www.rfc-editor.org/rfc/rfc4253#section-4.1"),
    Field::new(
        "ssh.connect",
        Kind::Choice(&[("private", "the private address"), ("public", "the public address")]),
        "public",
        "Which of a host's addresses is used.",
    )
    .default("private")
    .source("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html"),
    Field::new("ssh.parallel", whole(1, 1000), "128", "How many hosts are worked on at once.")
        .counts("hosts")
        .default("64"),
    Field::new(
        "ssh.identity",
        list(&IDENTITY, 16),
        "[~/.ssh/fleet]",
        "Private keys that are tried after those of the SSH agent.",
    )
    .absent("the agent's keys only")
    .env()
    .source("https://www.rfc-editor.org/rfc/rfc4252#section-7"),
    Field::new(
        "ssh.known_hosts",
        Kind::Path("known_hosts file"),
        "known_hosts",
        "Where the host keys of the template and of machines of `hosts` are looked up, by address.",
    )
    .absent("~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts")
    .env()
    .source("https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT"),
    Field::new("ssh.timeout", duration(1, 300), "15s", "How long a connection may take, wall time.").default("10s"),
];
