//! What cloud-init does at a boot: host key and login key at the first one, user data, and its lines on the console.

use super::orders::{BootOrder, DEFAULT_USER, home_of};
use data_encoding::BASE64;
use flate2::read::GzDecoder;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{HashAlg, LineEnding};
use russh::keys::{PrivateKey, PublicKey};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where sshd keeps its key.
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// The instance that this directory last booted as.
const INSTANCE: &str = "/var/lib/cloud/data/instance-id";

/// What user data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UserData {
    /// None, or empty.
    Nothing,
    /// Starts with `#!`: run at the first boot.
    Script(Vec<u8>),
    /// Something else, which a rehearsal host does not carry out; the word that it begins with.
    Refused(String),
}

/// Sorts user data as cloud-init does, by how it begins.
pub(super) fn user_data(order: &BootOrder) -> UserData {
    let data = order.user_data.as_deref().and_then(|text| BASE64.decode(text.as_bytes()).ok()).unwrap_or_default();
    let data = unpacked(data);
    if data.trim_ascii().is_empty() {
        UserData::Nothing
    } else if data.starts_with(b"#!") {
        UserData::Script(data)
    } else {
        let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
        UserData::Refused(String::from_utf8_lossy(line.trim_ascii()).chars().take(40).collect())
    }
}

/// "User data can be gzip compressed": cloud-init looks for gzip's first bytes, and takes what it can't unpack as it is.
fn unpacked(data: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::new();
    let gzip = data.starts_with(&[0x1f, 0x8b]) && GzDecoder::new(&data[..]).read_to_end(&mut plain).is_ok();
    if gzip { plain } else { data }
}

/// The host's key, and whether this is the instance's first boot. An image's copied key is replaced then, and its login
/// key is joined by this instance's own.
///
/// # Errors
///
/// When the host's directory can't be read or written, or the key in it is none.
pub(super) fn prepare(order: &BootOrder) -> io::Result<(PrivateKey, bool)> {
    let before = fs::read_to_string(INSTANCE).unwrap_or_default();
    let first = before.trim() != order.id;
    let key = if first { generate(&format!("root@{}", order.hostname))? } else { read_key()? };
    if first {
        fs::create_dir_all("/etc/ssh")?;
        let private = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
        write(Path::new(HOST_KEY), private.as_bytes(), 0o600)?;
        let public = key.public_key().to_openssh().map_err(io::Error::other)?;
        write(Path::new(&format!("{HOST_KEY}.pub")), format!("{public}\n").as_bytes(), 0o644)?;
        fs::write("/etc/hostname", format!("{}\n", order.hostname))?;
        fs::write("/etc/hosts", format!("127.0.0.1 localhost\n{} {}\n", order.address, order.hostname))?;
        if let Some(login) = &order.authorized_key {
            authorize(login)?;
        }
        fs::create_dir_all("/var/lib/cloud/data")?;
        fs::write(INSTANCE, &order.id)?;
    }
    Ok((key, first))
}

fn read_key() -> io::Result<PrivateKey> {
    PrivateKey::from_openssh(fs::read(HOST_KEY)?).map_err(io::Error::other)
}

/// A new ed25519 key from the kernel's random numbers.
pub(super) fn generate(comment: &str) -> io::Result<PrivateKey> {
    let mut seed = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    PrivateKey::new(KeypairData::from(Ed25519Keypair::from_seed(&seed)), comment).map_err(io::Error::other)
}

/// Adds the key pair's key to the default user's, once.
fn authorize(login: &str) -> io::Result<()> {
    let directory = home_of(DEFAULT_USER).join(".ssh");
    fs::create_dir_all(&directory)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
    let path = directory.join("authorized_keys");
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    if text.lines().any(|line| line.trim() == login.trim()) {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(login.trim());
    text.push('\n');
    write(&path, text.as_bytes(), 0o600)
}

/// Writes a script where cloud-init keeps it.
pub(super) fn store_script(script: &[u8]) -> io::Result<String> {
    let path = "/var/lib/cloud/instance/scripts/part-001";
    fs::create_dir_all("/var/lib/cloud/instance/scripts")?;
    write(Path::new(path), script, 0o700)?;
    Ok(path.to_owned())
}

fn write(path: &Path, data: &[u8], mode: u32) -> io::Result<()> {
    fs::write(path, data)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// First lines of every boot.
pub(super) fn boot_lines(hostname: &str, version: &str) -> String {
    format!(
        "[    0.000000] Linux version {version}\n[    0.000000] Command line: console=ttyS0,115200n8\n\
         [    0.412731] systemd[1]: Hostname set to <{hostname}>.\n"
    )
}

/// The block that a client learns the host's key from; printed at the first boot only.
pub(super) fn key_block(key: &PublicKey, hostname: &str, now: &str) -> String {
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    let public = key.to_openssh().unwrap_or_default();
    let rule = "#".repeat(61);
    let noise = |text: &str| format!("<14>{now} cloud-init: {text}\n");
    [
        noise(&rule),
        noise("-----BEGIN SSH HOST KEY FINGERPRINTS-----"),
        noise(&format!("256 {fingerprint} root@{hostname} (ED25519)")),
        noise("-----END SSH HOST KEY FINGERPRINTS-----"),
        noise(&rule),
        format!("-----BEGIN SSH HOST KEY KEYS-----\n{public}\n-----END SSH HOST KEY KEYS-----\n"),
    ]
    .concat()
}

/// Last line of cloud-init.
pub(super) fn finished_line(now: &str, seconds: f64) -> String {
    format!("Cloud-init v. 24.4.1 finished at {now}. Datasource DataSourceEc2Local.  Up {seconds:.2} seconds\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"#!/bin/sh\n").unwrap();
        let packed = gzip.finish().unwrap();
        assert_eq!(unpacked(packed.clone()), b"#!/bin/sh\n");
        assert_eq!(unpacked(packed[..12].to_vec()), packed[..12]);
        assert_eq!(unpacked(b"#cloud-config".to_vec()), b"#cloud-config");
    }

    #[test]
    fn the_key_block_is_cloud_inits() {
        let pair = Ed25519Keypair::from_seed(&[7; 32]);
        let key = PrivateKey::new(KeypairData::from(pair), "root@ip-127-64-0-5").unwrap();
        insta::assert_snapshot!(key_block(key.public_key(), "ip-127-64-0-5", "Nov 21 08:19:00"), @r"
        <14>Nov 21 08:19:00 cloud-init: #############################################################
        <14>Nov 21 08:19:00 cloud-init: -----BEGIN SSH HOST KEY FINGERPRINTS-----
        <14>Nov 21 08:19:00 cloud-init: 256 SHA256:z/fSv0Z0RZS+Lccbc6ZoOWwt/fbj1VFJGSBKQbo4icE root@ip-127-64-0-5 (ED25519)
        <14>Nov 21 08:19:00 cloud-init: -----END SSH HOST KEY FINGERPRINTS-----
        <14>Nov 21 08:19:00 cloud-init: #############################################################
        -----BEGIN SSH HOST KEY KEYS-----
        ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs root@ip-127-64-0-5
        -----END SSH HOST KEY KEYS-----
        ");
    }
}
