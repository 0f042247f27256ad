//! Reads S3's manner of speech: method, bucket and key make the action, headers and query its parameters.

use super::super::api::{ApiError, Payload};
use hyper::Method;
use hyper::header::HOST;
use hyper::http::request::Parts;
use serde_json::{Map, Value};

/// Headers and query parameters that mean something here, and what the API reference calls them.
const KNOWN: [(&str, &str); 13] = [
    ("if-none-match", "IfNoneMatch"),
    ("if-match", "IfMatch"),
    ("content-md5", "ContentMD5"),
    ("x-amz-checksum-crc32", "ChecksumCRC32"),
    ("x-amz-checksum-mode", "ChecksumMode"),
    ("list-type", "ListType"),
    ("prefix", "Prefix"),
    ("delimiter", "Delimiter"),
    ("start-after", "StartAfter"),
    ("continuation-token", "ContinuationToken"),
    ("max-keys", "MaxKeys"),
    ("encoding-type", "EncodingType"),
    ("range", "Range"),
];

/// Action and payload of a request.
///
/// # Errors
///
/// `NotImplemented` for what is no call on objects, with S3's own code.
pub(super) fn read(head: &Parts, body: &[u8]) -> Result<(&'static str, Payload), ApiError> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let path = plain(head.uri.path().trim_start_matches('/'));
    let (bucket, key) = match virtual_bucket(header(HOST.as_str()).unwrap_or_default()) {
        Some(bucket) => (bucket.to_owned(), path),
        None => match path.split_once('/') {
            Some((bucket, key)) => (bucket.to_owned(), key.to_owned()),
            None => (path, String::new()),
        },
    };
    let mut parameters = Map::new();
    parameters.insert("Bucket".to_owned(), bucket.as_str().into());
    if !key.is_empty() {
        parameters.insert("Key".to_owned(), key.as_str().into());
    }
    let query: Vec<(String, String)> =
        form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    for (wire, name) in KNOWN {
        let asked = query.iter().find(|(given, _)| given == wire).map(|(_, value)| value.as_str());
        if let Some(value) = asked.or_else(|| header(wire)) {
            parameters.insert(name.to_owned(), Value::from(value));
        }
    }
    let refuse = |what: &str| {
        let message =
            format!("A header or parameter you provided implies functionality that is not implemented: {what}");
        Err(ApiError::new("NotImplemented", message).with_status(501))
    };
    if header("content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked")) {
        return refuse("the rehearsal cloud's S3 takes bodies whole, not aws-chunked");
    }
    // `x-id` only repeats the action's name.
    if let Some((name, _)) =
        query.iter().find(|(name, _)| name != "x-id" && !KNOWN.iter().any(|(wire, _)| wire == name))
    {
        return refuse(&format!("the parameter {name}"));
    }
    let action = match (&head.method, bucket.is_empty(), key.is_empty()) {
        (&Method::PUT, false, false) => "PutObject",
        (&Method::GET, false, false) => "GetObject",
        (&Method::DELETE, false, false) => "DeleteObject",
        (&Method::PUT, false, true) => "CreateBucket",
        (&Method::HEAD, false, true) => "HeadBucket",
        (&Method::GET, false, true) if parameters.get("ListType") == Some(&Value::from("2")) => "ListObjectsV2",
        (method, ..) => return refuse(&format!("the rehearsal cloud's S3 has no {method} {}", head.uri.path())),
    };
    Ok((action, Payload::Object { parameters, bytes: body.to_vec() }))
}

/// The bucket in a host name such as `bucket.s3.us-east-1.amazonaws.com` or `bucket.localhost:4566`; none where it is in the
/// path.
fn virtual_bucket(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let ends = [".s3.", ".s3-"].into_iter().find_map(|mark| name.find(mark));
    let end = ends.or_else(|| name.find(".localhost"))?;
    name.get(..end).filter(|bucket| !bucket.is_empty())
}

/// A path without its percent signs; a plus in it is a plus.
fn plain(path: &str) -> String {
    let value = path.replace('+', "%2B").replace('&', "%26");
    form_urlencoded::parse(format!("p={value}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn asked(method: &str, host: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(&'static str, Value), String> {
        let mut request = Request::builder().method(method).uri(uri).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let (action, payload) = read(&head, b"x").map_err(|error| error.code)?;
        let Payload::Object { parameters, bytes } = payload else { panic!("no object") };
        assert_eq!(bytes, b"x");
        Ok((action, parameters.into()))
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let wanted = serde_json::json!({"Bucket": "ops", "Key": "a/b +&=ü.json", "IfNoneMatch": "*"});
        let path = "/a/b%20+%26=%C3%BC.json?x-id=PutObject";
        let header = [("if-none-match", "*")];
        let put = Ok(("PutObject", wanted));
        assert_eq!(asked("PUT", "127.0.0.1:4566", &format!("/ops{path}"), &header), put);
        assert_eq!(asked("PUT", "s3.us-east-1.amazonaws.com", &format!("/ops{path}"), &header), put);
        assert_eq!(asked("PUT", "ops.s3.us-east-1.amazonaws.com", path, &header), put);
        assert_eq!(asked("PUT", "ops.localhost:4566", path, &header), put);
        let (action, parameters) = asked("GET", "127.0.0.1", "/ops?list-type=2&prefix=a%2Fb&max-keys=2", &[]).unwrap();
        assert_eq!(
            (action, &parameters["Prefix"], &parameters["MaxKeys"]),
            ("ListObjectsV2", &"a/b".into(), &"2".into())
        );
        assert_eq!(asked("DELETE", "127.0.0.1", "/ops/k", &[]).unwrap().0, "DeleteObject");
        assert_eq!(asked("HEAD", "127.0.0.1", "/ops", &[]).unwrap().0, "HeadBucket");
    }

    #[test]
    fn what_is_not_here_is_said_to_be_so() {
        let no = Err("NotImplemented".to_owned());
        assert_eq!(asked("POST", "127.0.0.1", "/ops/k?uploads", &[]), no);
        assert_eq!(asked("GET", "127.0.0.1", "/ops", &[]), no, "the first version of the listing");
        assert_eq!(asked("GET", "127.0.0.1", "/", &[]), no);
        assert_eq!(asked("GET", "127.0.0.1", "/ops/k?versionId=1", &[]), no);
        assert_eq!(asked("PUT", "127.0.0.1", "/ops/k", &[("content-encoding", "aws-chunked")]), no);
    }
}
