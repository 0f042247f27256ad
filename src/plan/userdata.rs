//! User data of hosts: the dead-man's switch first, then what the spec's own file says.

use super::token::digest;

/// The script that arms the dead-man's switch.
const DEADMAN: &str = include_str!("deadman.sh");

/// Puts the dead-man's switch before the spec's own user data.
///
/// A script of the spec's is carried inside ours, byte for byte, and run after the switch is armed. Anything else that
/// cloud-init understands (cloud-config, boothooks ...) becomes the second part of a MIME multipart archive, cloud-init's
/// own format for several parts.
pub fn compose(own: Option<&[u8]>) -> Vec<u8> {
    match own {
        None => DEADMAN.as_bytes().to_vec(),
        Some(script) if script.starts_with(b"#!") => {
            let encoded = data_encoding::BASE64.encode(script);
            format!(
                "{DEADMAN}\nprintf %s '{encoded}' | base64 -d >/opt/fleetwright/user-data &&\n    \
                 chmod 700 /opt/fleetwright/user-data &&\n    exec /opt/fleetwright/user-data\n"
            )
            .into_bytes()
        }
        Some(other) => multipart(other),
    }
}

/// Two parts (RFC 2046, section 5.1); the boundary is a digest of the content, so the same input makes the same bytes.
fn multipart(own: &[u8]) -> Vec<u8> {
    let boundary = format!("fleetwright-{}", digest(&[&data_encoding::BASE64.encode(own)]));
    let part = |kind: &str, name: &str, bytes: &[u8]| {
        format!(
            "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{}\r\n",
            data_encoding::BASE64.encode(bytes)
        )
    };
    let kind = if own.starts_with(b"#cloud-boothook") {
        "text/cloud-boothook"
    } else if own.starts_with(b"#include") {
        "text/x-include-url"
    } else {
        "text/cloud-config"
    };
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\nMIME-Version: 1.0\r\n\r\n{}{}--{boundary}--\r\n",
        part("text/x-shellscript", "fleetwright-deadman.sh", DEADMAN.as_bytes()),
        part(kind, "user-data", own)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_in_every_form_and_the_own_script_is_kept_byte_for_byte() {
        let own: &[u8] = b"#!/bin/sh\necho 'it''s mine' \"$HOME\"\n";
        let text = String::from_utf8(compose(Some(own))).unwrap();
        assert!(text.starts_with(DEADMAN));
        let encoded = text.split("printf %s '").nth(1).unwrap().split('\'').next().unwrap();
        assert_eq!(data_encoding::BASE64.decode(encoded.as_bytes()).unwrap(), own);
        let config: &[u8] = b"#cloud-config\npackages: [jq]\n";
        let mime = String::from_utf8(compose(Some(config))).unwrap();
        assert!(mime.starts_with("Content-Type: multipart/mixed"));
        assert!(mime.contains(&data_encoding::BASE64.encode(config)));
        assert!(mime.contains(&data_encoding::BASE64.encode(DEADMAN.as_bytes())));
        assert_eq!(compose(Some(config)), compose(Some(config)));
    }
}
