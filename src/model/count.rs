//! Numbers of things as people read them.

/// `1 host`, `3 hosts`.
pub fn count(n: impl TryInto<u64>, noun: &str) -> String {
    match n.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

#[test]
fn one_is_no_plural() {
    assert_eq!([count(0_usize, "host"), count(1_u32, "host"), count(2_u64, "host")], ["0 hosts", "1 host", "2 hosts"]);
}
