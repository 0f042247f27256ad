//! The instance metadata service of one host, version 2 only, on the host's own loopback address.
//!
//! Never 169.254.169.254: on a CI runner in EC2 that address answers with real credentials.

use super::{Metadata, Upcall};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Longest life of a token: six hours, as AWS has it.
const LONGEST: u64 = 21_600;

/// Header of a PUT that asks for a token.
const TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");

/// Header of every other request.
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");

/// What the service knows besides the world's facts.
pub(super) struct Source {
    /// `i-...`
    pub(super) id: String,
    /// Asked anew at each request.
    pub(super) world: Arc<OnceLock<Weak<dyn Upcall>>>,
    /// As given, decoded.
    pub(super) user_data: Option<Vec<u8>>,
    /// Holds the rehearsal's credentials.
    pub(super) env: BTreeMap<String, String>,
}

/// One boot's service; gone when dropped, its tokens with it.
pub(super) struct MetadataServer(JoinHandle<()>);

impl MetadataServer {
    /// Listens.
    ///
    /// # Errors
    ///
    /// When the address is taken.
    pub(super) async fn start(at: SocketAddrV4, source: Source) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let state = Arc::new(State { source, tokens: Mutex::default() });
        Ok(Self(tokio::spawn(async move {
            // Connections live in this task's set, so that they end with it.
            let mut open = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                            continue;
                        };
                        let state = state.clone();
                        open.spawn(async move {
                            let service = service_fn(move |request| answer(state.clone(), request));
                            // A client that hangs up early harms nobody.
                            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
                        });
                    }
                    Some(_) = open.join_next() => {}
                }
            }
        })))
    }
}

impl Drop for MetadataServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct State {
    source: Source,
    tokens: Mutex<HashMap<String, Instant>>,
}

type Answer = Response<Full<Bytes>>;

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    // Nothing is expected in a body; a long one is not waited for.
    Limited::new(body, 4096).collect().await.ok();
    let header = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let path = head.uri.path();
    if head.method == Method::PUT && path == "/latest/api/token" {
        let seconds = header(&TTL).and_then(|text| text.parse().ok()).filter(|s| (1..=LONGEST).contains(s));
        return Ok(match seconds {
            Some(seconds) => {
                let token = uuid::Uuid::new_v4().to_string();
                let end = Instant::now() + Duration::from_secs(seconds);
                state.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), end);
                let mut answer = plain(StatusCode::OK, token);
                answer.headers_mut().insert(TTL, HeaderValue::from(seconds));
                answer
            }
            None => plain(StatusCode::BAD_REQUEST, "the token's life must be 1 to 21600 seconds"),
        });
    }
    if head.method != Method::GET {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and the token's PUT"));
    }
    let mut tokens = state.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    tokens.retain(|_, end| *end > Instant::now());
    if !header(&TOKEN).is_some_and(|token| tokens.contains_key(token)) {
        return Ok(plain(StatusCode::UNAUTHORIZED, "401 - Unauthorized"));
    }
    drop(tokens);
    let metadata = state.source.world.get().and_then(Weak::upgrade).and_then(|world| world.metadata(&state.source.id));
    let found = metadata.and_then(|metadata| look_up(path, &metadata, &state.source));
    Ok(found.map_or_else(|| plain(StatusCode::NOT_FOUND, "404 - Not Found"), |body| plain(StatusCode::OK, body)))
}

/// The document at a path; a path that ends with a slash lists what is below.
fn look_up(path: &str, facts: &Metadata, source: &Source) -> Option<Vec<u8>> {
    if path == "/latest/user-data" {
        return source.user_data.clone();
    }
    if path == "/latest/dynamic/instance-identity/document" {
        return Some(identity(facts).into_bytes());
    }
    let name = path.strip_prefix("/latest/meta-data/")?;
    let text = match name {
        "instance-id" => facts.instance_id.clone(),
        "ami-id" => facts.ami_id.clone(),
        "instance-type" => facts.instance_type.clone(),
        "placement/availability-zone" => facts.zone.clone(),
        "placement/region" => facts.region.clone(),
        "local-ipv4" => facts.local_ipv4.clone(),
        "local-hostname" | "hostname" => format!("ip-{}", facts.local_ipv4.replace('.', "-")),
        "instance-life-cycle" => facts.life_cycle.clone(),
        "spot/instance-action" => facts.spot_action.clone()?,
        "events/recommendations/rebalance" => facts.rebalance.clone()?,
        "autoscaling/target-lifecycle-state" => facts.target_state.clone()?,
        "tags/instance" | "tags/instance/" => {
            facts.tags.as_ref()?.keys().map(String::as_str).collect::<Vec<_>>().join("\n")
        }
        "iam/security-credentials" | "iam/security-credentials/" => facts.instance_profile.clone()?,
        name => match (name.strip_prefix("tags/instance/"), name.strip_prefix("iam/security-credentials/")) {
            (Some(key), _) => facts.tags.as_ref()?.get(&decoded(key))?.clone(),
            (_, Some(role)) if facts.instance_profile.as_deref() == Some(role) => credentials(source),
            _ => return None,
        },
    };
    Some(text.into_bytes())
}

/// Undoes percent-encoding: tag keys hold colons and blanks.
fn decoded(key: &str) -> String {
    // A plus sign stands for itself in a path, unlike in a form.
    let form = format!("k={}", key.replace('+', "%2B"));
    form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn identity(facts: &Metadata) -> String {
    let document = json!({
        "accountId": facts.account,
        "availabilityZone": facts.zone,
        "imageId": facts.ami_id,
        "instanceId": facts.instance_id,
        "instanceType": facts.instance_type,
        "privateIp": facts.local_ipv4,
        "region": facts.region,
        "version": "2017-09-30",
    });
    format!("{document:#}")
}

/// The rehearsal's own credentials in the form of a role's.
fn credentials(source: &Source) -> String {
    let value = |name: &str| source.env.get(name).cloned().unwrap_or_default();
    let now = Timestamp::now();
    let end = now.saturating_add(jiff::SignedDuration::from_hours(6)).unwrap_or(Timestamp::MAX);
    let stamp = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let document = json!({
        "Code": "Success",
        "LastUpdated": stamp(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": value("AWS_ACCESS_KEY_ID"),
        "SecretAccessKey": value("AWS_SECRET_ACCESS_KEY"),
        // A role's credentials never come without one.
        "Token": source.env.get("AWS_SESSION_TOKEN").map_or("rehearsal-token", String::as_str),
        "Expiration": stamp(end),
    });
    format!("{document:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_there_only_when_enabled_and_by_encoded_key() {
        let source = Source { id: "i-1".into(), world: Arc::default(), user_data: None, env: BTreeMap::new() };
        let mut facts = Metadata::default();
        let path = "/latest/meta-data/tags/instance/fleetwright%3Aexpires";
        assert_eq!(look_up(path, &facts, &source), None);
        facts.tags = Some([("fleetwright:expires".to_owned(), "t".to_owned())].into());
        assert_eq!(look_up(path, &facts, &source).as_deref(), Some(b"t".as_slice()));
        for path in ["spot/instance-action", "events/recommendations/rebalance", "autoscaling/target-lifecycle-state"] {
            assert_eq!(look_up(&format!("/latest/meta-data/{path}"), &facts, &source), None, "{path}");
        }
        facts.target_state = Some("InService".to_owned());
        let path = "/latest/meta-data/autoscaling/target-lifecycle-state";
        assert_eq!(look_up(path, &facts, &source).as_deref(), Some(b"InService".as_slice()));
    }
}
