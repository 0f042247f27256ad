//! Numbers of things as people read them.

/// `1 host`, `3 hosts`.
pub fn count(n: impl TryInto<u64>, noun: &str) -> String {
    match n.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

/// `1 host is`, `3 hosts are`.
pub fn count_is(n: impl TryInto<u64>, noun: &str) -> String {
    let counted = count(n, noun);
    let verb = if counted.starts_with("1 ") { "is" } else { "are" };
    format!("{counted} {verb}")
}

#[test]
fn one_is_no_plural() {
    assert_eq!([count(0_usize, "host"), count(1_u32, "host"), count(2_u64, "host")], ["0 hosts", "1 host", "2 hosts"]);
    assert_eq!([count_is(1_u32, "host"), count_is(11_u32, "host")], ["1 host is", "11 hosts are"]);
}
