//! One POST to an address outside AWS, by the same way out as every call to AWS.

use super::transport::post;
use std::time::Duration;

/// Longest wait for one answer, connecting and all.
const WITHIN: Duration = Duration::from_secs(10);

/// Posts JSON, once more when nobody answered or the server could not; what became of it in words that do not repeat the
/// address.
///
/// # Errors
///
/// Why it was not taken.
pub async fn tell(address: &str, body: &str) -> Result<(), String> {
    match once(address, body).await {
        Err((_, true)) => once(address, body).await.map_err(|(why, _)| format!("{why}, twice")),
        other => other.map_err(|(why, _)| why),
    }
}

/// One try; with the failure whether another one may help.
async fn once(address: &str, body: &str) -> Result<(), (String, bool)> {
    match tokio::time::timeout(WITHIN, post(address, body)).await {
        Ok(Ok(200..=299)) => Ok(()),
        Ok(Ok(status)) => Err((format!("it answered {status}"), status == 429 || status >= 500)),
        Ok(Err(why)) => Err((why, true)),
        Err(_) => Err((format!("no answer within {} s", WITHIN.as_secs()), true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers each connection with the next of these, or never; what it was sent.
    async fn server(answers: &'static [&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/services/T0/secret?key=secret", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut open = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut sent = Vec::new();
                while !sent.ends_with(b"}") {
                    let n = stream.read_buf(&mut sent).await.unwrap();
                    assert!(n > 0, "it ended early");
                }
                kept.lock().unwrap().push(String::from_utf8(sent).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
                open.push(stream);
            }
            std::future::pending::<()>().await;
        });
        (address, seen)
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    const NO: &str = "HTTP/1.1 404 no_service\r\ncontent-length: 0\r\n\r\n";

    #[tokio::test]
    async fn json_is_posted_once_more_where_that_may_help() {
        let (address, seen) = server(&[GOOD]).await;
        assert_eq!(tell(&address, "{\"text\":\"é\"}").await, Ok(()));
        let sent = seen.lock().unwrap().remove(0).to_ascii_lowercase();
        assert!(sent.starts_with("post /services/t0/secret?key=secret http/1.1\r\n"), "{sent}");
        assert!(
            sent.contains("content-type: application/json\r\n") && sent.contains("content-length: 13\r\n"),
            "{sent}"
        );
        assert!(sent.ends_with("\r\n\r\n{\"text\":\"é\"}"), "{sent}");
        let (address, seen) = server(&[BUSY, GOOD]).await;
        assert_eq!(tell(&address, "{}").await, Ok(()));
        assert_eq!(seen.lock().unwrap().len(), 2);
        let (address, _) = server(&[BUSY, BUSY]).await;
        assert_eq!(tell(&address, "{}").await, Err("it answered 503, twice".into()));
        let (address, seen) = server(&[NO]).await;
        assert_eq!(tell(&address, "{}").await, Err("it answered 404".into()));
        assert_eq!(seen.lock().unwrap().len(), 1, "a refusal stays one");
    }

    #[tokio::test]
    async fn what_failed_is_said_without_the_address() {
        let (address, _) = server(&["SSH-2.0-x\r\n", "SSH-2.0-x\r\n"]).await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for address in [
            address.clone(),
            address.replace("http:", "https:"),
            format!("http://{closed}/secret"),
            "https://secret.invalid/x".to_owned(),
            "https://[secret/".to_owned(),
        ] {
            let why = tell(&address, "{}").await.unwrap_err();
            assert!(!why.contains("secret") && !why.contains("127.0.0.1"), "{why}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_not_waited_for() {
        let (address, _) = server(&["", ""]).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(tell(&address, "{}").await, Err("no answer within 10 s, twice".into()));
        assert_eq!(begun.elapsed().as_secs(), 20);
    }
}
