//! For tests: an HTTP server on loopback that gives prepared answers and keeps what it was asked.

use super::Clients;
use aws_sdk_ec2::config::Credentials;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One prepared answer.
#[derive(Clone, Debug)]
pub(crate) struct Canned {
    status: u16,
    body: Vec<u8>,
    /// What Content-Length says; a body shorter than that is cut by closing the connection.
    length: usize,
    headers: &'static str,
}

impl Canned {
    /// A body with this status.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, length: body.len(), body, headers: "" }
    }

    /// The same with further header lines, each ended by CR LF.
    pub(crate) fn with_headers(self, headers: &'static str) -> Self {
        Self { headers, ..self }
    }

    /// The first bytes of the body, the HTTP message being complete: what a proxy that was cut off itself passes on.
    pub(crate) fn cut(&self, at: usize) -> Self {
        Self { body: self.body[..at].to_vec(), length: at, ..self.clone() }
    }

    /// The first bytes of the body and then the end of the connection.
    pub(crate) fn torn(&self, at: usize) -> Self {
        Self { body: self.body[..at].to_vec(), ..self.clone() }
    }
}

/// The server; answers in turn, the last answer for ever.
pub(crate) struct Responder {
    answers: Arc<Mutex<VecDeque<Canned>>>,
    /// Heads in lower case, and bodies.
    requests: Arc<Mutex<Vec<(String, String)>>>,
    url: String,
}

impl Responder {
    /// Listens on a free port.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Canned>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let requests = Arc::default();
        let (queue, log) = (Arc::clone(&answers), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&queue), Arc::clone(&log)));
            }
        });
        Self { answers, requests, url }
    }

    /// Replaces what is left of the answers by one.
    pub(crate) fn answer(&self, canned: Canned) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = VecDeque::from([canned]);
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Bodies of the requests so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.asked().into_iter().map(|(_, body)| body).collect()
    }

    /// Request lines and headers so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.asked().into_iter().map(|(head, _)| head).collect()
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Clients whose every call comes here.
    pub(crate) async fn clients(&self) -> Clients {
        let credentials = Credentials::new("AKIDTEST", "secret", None, None, "test");
        clients(self.url(), credentials).await
    }
}

/// Clients with given credentials, whatever the environment says.
pub(crate) async fn clients(url: &str, credentials: Credentials) -> Clients {
    let loader = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(url);
    Clients::load(loader).await.expect("a region is set")
}

/// Answers the requests of one connection.
async fn serve(mut stream: TcpStream, answers: Arc<Mutex<VecDeque<Canned>>>, log: Arc<Mutex<Vec<(String, String)>>>) {
    let mut input = Vec::new();
    while let Some(asked) = request(&mut stream, &mut input).await {
        log.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let canned = {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        };
        // Without an answer the connection is closed: the caller sees a reset.
        let Some(canned) = canned else { return };
        let head = format!(
            "HTTP/1.1 {} Canned\r\ncontent-type: text/xml\r\n{}content-length: {}\r\n\r\n",
            canned.status, canned.headers, canned.length
        );
        let sent = stream.write_all(&[head.as_bytes(), &canned.body].concat()).await;
        if sent.is_err() || canned.body.len() < canned.length {
            return;
        }
    }
}

/// Reads one request and gives back its head and body; nothing at the end of the connection.
async fn request(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&input[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if input.len() >= whole {
                let body = String::from_utf8_lossy(&input[end + 4..whole]).into_owned();
                input.drain(..whole);
                return Some((head, body));
            }
        }
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}
