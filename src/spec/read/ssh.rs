//! `ssh:` how hosts are reached.

use super::top::each;
use super::{SECOND, number, span};
use crate::spec::check::Check;
use crate::spec::fleet::{Connect, SshSpec};
use crate::spec::section::Field;
use crate::spec::value;

pub(super) fn ssh(check: &mut Check<'_>, field: Option<Field<'_>>) -> SshSpec {
    let mut out = SshSpec {
        user: "ec2-user".to_owned(),
        port: 22,
        connect: Connect::Private,
        parallel: 64,
        identity: Vec::new(),
        known_hosts: None,
        timeout: 10 * SECOND,
    };
    let Some(mut s) = field.and_then(|f| check.section(&f, "`ssh: {user: ec2-user, connect: private}`")) else {
        return out;
    };
    let name = value::word("a login name of at most 32 letters, digits, `.`, `_` and `-`", 32, "._-");
    if let Some(user) = s.get("user").and_then(|f| check.parsed(&f, name)) {
        out.user = user;
    }
    out.port = u16::try_from(number(&mut s, check, "port", (1, 65_535), 22)).unwrap_or(22);
    let words = value::choice(&[("private", Connect::Private), ("public", Connect::Public)]);
    out.connect = s.get("connect").and_then(|f| check.parsed(&f, words)).unwrap_or(out.connect);
    out.parallel = number(&mut s, check, "parallel", (1, 1000), 64);
    out.identity = each(check, s.get("identity"), 16, |c, f| c.path(f, true));
    out.known_hosts = s.get("known_hosts").and_then(|f| check.path(&f, true));
    out.timeout = span(&mut s, check, "timeout", (SECOND, 300 * SECOND), out.timeout);
    s.close(check, &[]);
    out
}
