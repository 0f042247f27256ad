//! The rehearsal cloud's control port, as its operator uses it.

use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Talks to `/_sim/` of one rehearsal cloud.
#[derive(Clone, Debug)]
pub struct Control {
    authority: String,
}

impl Control {
    /// For an endpoint such as `http://127.0.0.1:4566`.
    pub fn new(endpoint: &str) -> Self {
        Self { authority: endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned() }
    }

    /// The ground truth about everything.
    ///
    /// # Errors
    ///
    /// When the cloud does not answer.
    pub fn world(&self) -> io::Result<Value> {
        self.call("GET", "/_sim/world", None)
    }

    /// Does something to a host from outside.
    ///
    /// # Errors
    ///
    /// When the cloud does not answer or refuses.
    pub fn host(&self, id: &str, act: &str) -> io::Result<()> {
        self.call("POST", &format!("/_sim/hosts/{id}"), Some(&serde_json::json!({ "do": act }))).map(drop)
    }

    /// Every call that was made, one a line.
    ///
    /// # Errors
    ///
    /// When the cloud does not answer.
    pub fn audit(&self) -> io::Result<Vec<Value>> {
        let text = self.exchange("GET", "/_sim/audit", None)?;
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).map_err(io::Error::other))
            .collect()
    }

    /// What each webhook was told, in order: its name and the words.
    ///
    /// # Errors
    ///
    /// When the cloud does not answer.
    pub fn hooks(&self) -> io::Result<Value> {
        self.call("GET", "/_sim/hooks", None)
    }

    /// A host's private address and console, as the world knows them.
    ///
    /// # Errors
    ///
    /// When the cloud does not answer or has no such host.
    pub fn console(&self, id: &str) -> io::Result<(String, String)> {
        let answer = self.call("GET", &format!("/_sim/hosts/{id}"), None)?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned).unwrap_or_default();
        Ok((text("private_ip"), text("console")))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let text = self.exchange(method, path, body)?;
        if text.trim().is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).map_err(io::Error::other) }
    }

    /// One blocking exchange on loopback, ten seconds at most.
    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<String> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.authority,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
        let status = head.split_whitespace().nth(1).unwrap_or("no status");
        if !status.starts_with('2') {
            return Err(io::Error::other(format!("{method} {path}: {status} {text}")));
        }
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            return unchunk(text).ok_or_else(|| io::Error::other(format!("{method} {path}: broken chunks")));
        }
        Ok(text.to_owned())
    }
}

/// Puts chunked content together (RFC 9112, section 7.1).
fn unchunk(mut text: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = text.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        text = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn chunks_are_put_together() {
        assert_eq!(super::unchunk("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n").as_deref(), Some("abcde"));
        assert_eq!(super::unchunk("5\r\nabc\r\n0\r\n\r\n"), None);
    }
}
