//! Reads host keys from the console of a new instance.

use super::PublicKey;

const BEGIN: &str = "-----BEGIN SSH HOST KEY KEYS-----";
const END: &str = "-----END SSH HOST KEY KEYS-----";

/// The public keys that cloud-init printed at first boot; empty while they are not there.
///
/// Takes the first complete block: a later one may be the forgery of somebody who got root on the host meanwhile. Lines
/// that are no keys are passed over (the kernel writes to the same console), and so is everything behind a block that
/// was cut off. Comments are dropped: they are free text from the host.
pub fn learn_from_console(console: &str) -> Vec<PublicKey> {
    let mut block: Option<Vec<PublicKey>> = None;
    for line in console.lines() {
        if line.contains(BEGIN) {
            block = Some(Vec::new());
        } else if line.contains(END) {
            if let Some(keys) = block.take().filter(|keys| !keys.is_empty()) {
                return keys;
            }
        } else if let Some(keys) = &mut block
            && let Some(key) = key_in(line)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }
    Vec::new()
}

/// Finds a key behind whatever the boot log put before it, for example `[   12.345678] cloud-init[1234]: `.
fn key_in(line: &str) -> Option<PublicKey> {
    let from = ["ssh-ed25519 ", "ecdsa-sha2-", "ssh-rsa "].iter().filter_map(|kind| line.find(kind)).min()?;
    let mut words = line[from..].split_whitespace();
    PublicKey::from_openssh(&format!("{} {}", words.next()?, words.next()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn learnt(console: &str) -> Vec<String> {
        learn_from_console(console).iter().map(|key| key.to_openssh().unwrap()).collect()
    }

    #[test]
    fn the_first_complete_block_counts() {
        let first = format!("noise\n{BEGIN}\r\n[   9.1] cloud-init[77]: {ED} root@ip-10-0-0-1\r\ngarbage\n{END}\n");
        let second = format!("{BEGIN}\n{OTHER} evil\n{END}\n");
        assert_eq!(learnt(&first), [ED]);
        assert_eq!(learnt(&format!("{first}{second}")), [ED]);
    }

    #[test]
    fn what_is_cut_off_or_broken_is_not_believed() {
        assert!(learnt("").is_empty());
        assert!(learnt(&format!("{BEGIN}\n{ED} root\n")).is_empty(), "no end yet");
        assert!(learnt(&format!("{ED}\n{END}\n")).is_empty(), "the beginning was pushed out of the buffer");
        assert!(learnt(&format!("{BEGIN}\nssh-ed25519 AAAA\n{END}\n")).is_empty());
        let cut_then_whole = format!("{BEGIN}\n{OTHER} cut\n{BEGIN}\n{ED} root\n{END}\n");
        assert_eq!(learnt(&cut_then_whole), [ED], "a reboot in mid-print starts the block again");
    }
}
