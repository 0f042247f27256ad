//! S3, as far as state needs it: objects that are put on a condition, read, listed and deleted.
//!
//! Sources: the S3 API reference and the user guide's "conditional requests" and "Request redirection". Calls are carried out one at a time, so the
//! answer `409 ConditionalRequestConflict` to writes that cross comes by a fault script only.

use super::api::{ApiError, Call, Handled, Object, Payload, Reply};
use super::xml::Xml;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Bound;

/// Most keys in one page of a listing.
const PAGE: usize = 1000;
/// Longest key, bytes.
const KEY: usize = 1024;

#[derive(Debug)]
struct Stored {
    bytes: Vec<u8>,
    etag: String,
    /// Base64, as it was sent; kept so that readers can check it.
    crc32: Option<String>,
    at: Timestamp,
}

/// One bucket.
#[derive(Debug)]
struct Bucket {
    region: String,
    objects: BTreeMap<String, Stored>,
}

/// Every bucket of every region: their names are one space.
#[derive(Debug)]
pub(crate) struct S3 {
    buckets: BTreeMap<String, Bucket>,
}

impl S3 {
    /// Empty buckets of these names in one region.
    pub(crate) fn new(buckets: &[String], region: &str) -> Self {
        let empty = || Bucket { region: region.to_owned(), objects: BTreeMap::new() };
        Self { buckets: buckets.iter().map(|name| (name.clone(), empty())).collect() }
    }

    /// Carries a call out.
    pub(crate) fn handle(&mut self, call: &Call) -> Handled {
        let Payload::Object { parameters, bytes } = &call.payload else {
            return Err(ApiError::new("InvalidRequest", "S3 is spoken to in REST"));
        };
        let asked = Asked(parameters);
        let (name, key) = (asked.text("Bucket"), asked.text("Key"));
        if call.action == "CreateBucket" {
            located(&String::from_utf8_lossy(bytes), &call.region)?;
            if self.buckets.contains_key(name) {
                let message = "Your previous request to create the named bucket succeeded and you already own it.";
                return Err(ApiError::new("BucketAlreadyOwnedByYou", message).with_status(409));
            }
            self.buckets.insert(name.to_owned(), Bucket { region: call.region.clone(), objects: BTreeMap::new() });
            let headers = vec![("location", format!("/{name}"))];
            return Ok(object(Vec::new(), headers));
        }
        let Some(bucket) = self.buckets.get_mut(name) else {
            return Err(ApiError::new("NoSuchBucket", "The specified bucket does not exist").with_status(404));
        };
        let place = vec![("x-amz-bucket-region", bucket.region.clone())];
        if call.region != bucket.region {
            let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                           Please send all future requests to this endpoint.";
            let elsewhere = ApiError::new("PermanentRedirect", message).with_status(301);
            return Err(ApiError { headers: place, ..elsewhere });
        }
        let objects = &mut bucket.objects;
        match call.action.as_str() {
            "HeadBucket" => Ok(object(Vec::new(), place)),
            "PutObject" => put(objects, key, &asked, bytes, call.now),
            "GetObject" => get(objects, key, &asked),
            "DeleteObject" => {
                // What was not there is gone as well.
                let ended = objects.remove(key).map(|_| key.to_owned());
                Ok(Reply { ended: ended.into_iter().collect(), ..Reply::default() })
            }
            "ListObjectsV2" => list(objects, name, &asked),
            other => Err(unimplemented(&format!("the rehearsal cloud's S3 has no {other}"))),
        }
    }

    /// The ground truth: keys with sizes and ETags, by bucket.
    pub(crate) fn world(&self) -> Value {
        let object = |(key, stored): (&String, &Stored)| json!({"key": key, "size": stored.bytes.len(), "etag": stored.etag, "at": stored.at});
        let bucket = |(name, bucket): (&String, &Bucket)| json!({"name": name, "region": bucket.region, "objects": bucket.objects.iter().map(object).collect::<Vec<_>>()});
        self.buckets.iter().map(bucket).collect()
    }
}

/// Parameters by the names that the API reference gives them.
struct Asked<'a>(&'a Map<String, Value>);

impl Asked<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

fn unimplemented(what: &str) -> ApiError {
    ApiError::new("NotImplemented", what).with_status(501)
}

fn object(bytes: Vec<u8>, headers: Vec<(&'static str, String)>) -> Reply {
    Reply { object: Some(Object { bytes, headers }), ..Reply::default() }
}

fn no_such_key() -> ApiError {
    ApiError::new("NoSuchKey", "The specified key does not exist.").with_status(404)
}

fn unmet() -> ApiError {
    ApiError::new("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        .with_status(412)
}

/// "Regions outside of us-east-1 require the appropriate `LocationConstraint` to be specified in order to create the bucket in
/// the desired Region"; `EU` is eu-west-1, and us-east-1 has none.
fn located(body: &str, region: &str) -> Result<(), ApiError> {
    let given = body.split_once("<LocationConstraint>").and_then(|(_, rest)| rest.split('<').next());
    let place = match given {
        Some("EU") => Some("eu-west-1"),
        Some("us-east-1") => {
            return Err(ApiError::new("InvalidLocationConstraint", "The specified location-constraint is not valid"));
        }
        other => other,
    };
    if place.unwrap_or("us-east-1") == region {
        return Ok(());
    }
    let message = format!(
        "The {} location constraint is incompatible for the region specific endpoint this request was sent to.",
        given.unwrap_or("unspecified")
    );
    Err(ApiError::new("IllegalLocationConstraintException", message))
}

/// "If an object with the same key name already exists ... 412"; "If there's no current object version with the same name ...
/// 404"; `If-None-Match` "expects the * value".
fn put(objects: &mut BTreeMap<String, Stored>, key: &str, asked: &Asked<'_>, bytes: &[u8], now: Timestamp) -> Handled {
    if key.len() > KEY {
        return Err(ApiError::new("KeyTooLongError", "Your key is too long"));
    }
    match (asked.get("IfNoneMatch"), asked.get("IfMatch")) {
        (Some("*"), None) if objects.contains_key(key) => return Err(unmet()),
        (None | Some("*"), None) => {}
        (None, Some(etag)) => match objects.get(key) {
            None => return Err(no_such_key()),
            Some(stored) if stored.etag != etag => return Err(unmet()),
            Some(_) => {}
        },
        (Some(_), _) => return Err(unimplemented("If-None-Match of a write takes * alone")),
    }
    let digest = Md5::digest(bytes);
    let crc32 = STANDARD.encode(crc32fast::hash(bytes).to_be_bytes());
    if asked.get("ContentMD5").is_some_and(|sent| sent != STANDARD.encode(digest)) {
        return Err(ApiError::new("BadDigest", "The Content-MD5 you specified did not match what we received."));
    }
    if asked.get("ChecksumCRC32").is_some_and(|sent| sent != crc32) {
        return Err(ApiError::new("BadDigest", "The CRC32 you specified did not match the calculated checksum."));
    }
    let etag = format!("\"{}\"", HEXLOWER.encode(&digest));
    let crc32 = asked.get("ChecksumCRC32").map(|_| crc32);
    let mut headers = vec![("etag", etag.clone())];
    headers.extend(crc32.clone().map(|crc32| ("x-amz-checksum-crc32", crc32)));
    objects.insert(key.to_owned(), Stored { bytes: bytes.to_vec(), etag, crc32, at: now });
    Ok(Reply { made: vec![key.to_owned()], ..object(Vec::new(), headers) })
}

fn get(objects: &BTreeMap<String, Stored>, key: &str, asked: &Asked<'_>) -> Handled {
    if asked.get("Range").is_some() {
        return Err(unimplemented("the rehearsal cloud's S3 reads objects whole"));
    }
    let stored = objects.get(key).ok_or_else(no_such_key)?;
    if asked.get("IfMatch").is_some_and(|etag| etag != stored.etag) {
        return Err(unmet());
    }
    let mut headers = vec![
        ("etag", stored.etag.clone()),
        ("accept-ranges", "bytes".to_owned()),
        ("last-modified", stored.at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
    ];
    if asked.get("ChecksumMode") == Some("ENABLED") {
        headers.extend(stored.crc32.clone().map(|crc32| ("x-amz-checksum-crc32", crc32)));
    }
    Ok(object(stored.bytes.clone(), headers))
}

/// Keys in order of their bytes, a thousand a page; a token is the last key of the page before.
fn list(objects: &BTreeMap<String, Stored>, bucket: &str, asked: &Asked<'_>) -> Handled {
    if asked.get("Delimiter").is_some_and(|delimiter| !delimiter.is_empty()) {
        return Err(unimplemented("the rehearsal cloud's S3 lists without delimiter"));
    }
    let wrong = |what: &str| ApiError::new("InvalidArgument", what);
    let most = match asked.get("MaxKeys") {
        Some(most) => {
            most.parse::<usize>().map_err(|_| wrong("Provided max-keys not an integer or within integer range"))?
        }
        None => PAGE,
    };
    let token = asked.get("ContinuationToken").map(|token| {
        let bytes = STANDARD.decode(token).ok();
        bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| wrong("The continuation token provided is incorrect"))
    });
    let after = token.transpose()?.or_else(|| asked.get("StartAfter").map(str::to_owned));
    let prefix = asked.text("Prefix");
    let from = match &after {
        Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
        Some(_) | None => Bound::Included(prefix),
    };
    let mut found =
        objects.range::<str, _>((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix)).peekable();
    let page: Vec<_> = found.by_ref().take(most.min(PAGE)).collect();
    let more = found.peek().is_some() && !page.is_empty();
    let encoding = asked.get("EncodingType").filter(|encoding| *encoding == "url");
    let shown = |key: &str| if encoding.is_some() { escaped(key) } else { key.to_owned() };
    let mut xml = Xml::new();
    xml.text("Name", bucket).text("Prefix", shown(prefix)).text("KeyCount", page.len()).text("MaxKeys", most.min(PAGE));
    xml.opt("EncodingType", encoding).text("IsTruncated", more);
    if let (true, Some((last, _))) = (more, page.last()) {
        xml.text("NextContinuationToken", STANDARD.encode(last));
    }
    for (key, stored) in page {
        xml.open("Contents", |xml| {
            xml.text("Key", shown(key)).text("LastModified", stored.at.strftime("%Y-%m-%dT%H:%M:%S.000Z"));
            xml.text("ETag", &stored.etag).text("Size", stored.bytes.len()).text("StorageClass", "STANDARD");
        });
    }
    Ok(Reply { body: xml.finish(), ..Reply::default() })
}

/// A key as `encoding-type=url` wants it.
fn escaped(key: &str) -> String {
    key.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(s3: &mut S3, action: &str, parameters: Value, bytes: &[u8]) -> Handled {
        let Value::Object(parameters) = parameters else { panic!("{parameters}") };
        s3.handle(&Call {
            service: "s3".to_owned(),
            action: action.to_owned(),
            payload: Payload::Object { parameters, bytes: bytes.to_vec() },
            principal: "AKIA".to_owned(),
            region: "us-east-1".to_owned(),
            now: Timestamp::UNIX_EPOCH,
            request_id: "r".to_owned(),
        })
    }

    fn put(s3: &mut S3, key: &str, more: &[(&str, &str)], bytes: &[u8]) -> Result<String, (String, u16)> {
        let mut parameters = json!({"Bucket": "ops", "Key": key});
        for (name, value) in more {
            parameters[*name] = Value::from(*value);
        }
        let reply = call(s3, "PutObject", parameters, bytes).map_err(|error| (error.code, error.status))?;
        Ok(reply.object.unwrap().headers[0].1.clone())
    }

    fn failed(code: &str, status: u16) -> Result<String, (String, u16)> {
        Err((code.to_owned(), status))
    }

    #[test]
    fn a_write_on_a_condition_is_made_once() {
        let mut s3 = S3::new(&["ops".to_owned()], "us-east-1");
        let first = put(&mut s3, "k", &[("IfNoneMatch", "*")], b"one").unwrap();
        assert_eq!(first, "\"f97c5d29941bfb1b2fdab0874906ab82\"", "md5 of `one`");
        assert_eq!(put(&mut s3, "k", &[("IfNoneMatch", "*")], b"two"), failed("PreconditionFailed", 412));
        assert_eq!(put(&mut s3, "k", &[("IfMatch", "\"0\"")], b"two"), failed("PreconditionFailed", 412));
        assert_eq!(put(&mut s3, "none", &[("IfMatch", &first)], b"two"), failed("NoSuchKey", 404));
        let second = put(&mut s3, "k", &[("IfMatch", &first)], b"two").unwrap();
        assert_eq!(put(&mut s3, "k", &[("IfMatch", &first)], b"three"), failed("PreconditionFailed", 412));
        assert_eq!(put(&mut s3, "k", &[("IfNoneMatch", &second)], b"three"), failed("NotImplemented", 501));
        let got = call(&mut s3, "GetObject", json!({"Bucket": "ops", "Key": "k"}), b"").unwrap().object.unwrap();
        assert_eq!((got.bytes.as_slice(), &got.headers[0].1), (b"two".as_slice(), &second));
        call(&mut s3, "DeleteObject", json!({"Bucket": "ops", "Key": "k"}), b"").unwrap();
        put(&mut s3, "k", &[("IfNoneMatch", "*")], b"again").unwrap();
    }

    #[test]
    fn what_is_not_there_is_named_and_what_came_damaged_is_refused() {
        let mut s3 = S3::new(&["ops".to_owned()], "us-east-1");
        let code = |handled: Handled| handled.map(drop).map_err(|error| error.code);
        let got = call(&mut s3, "GetObject", json!({"Bucket": "ops", "Key": "k"}), b"");
        assert_eq!(code(got), Err("NoSuchKey".to_owned()));
        let got = call(&mut s3, "GetObject", json!({"Bucket": "other", "Key": "k"}), b"");
        assert_eq!(code(got), Err("NoSuchBucket".to_owned()));
        assert_eq!(put(&mut s3, "k", &[("ChecksumCRC32", "AAAAAA==")], b"x"), failed("BadDigest", 400));
        assert_eq!(put(&mut s3, "k", &[("ContentMD5", "AAAAAA==")], b"x"), failed("BadDigest", 400));
        assert_eq!(put(&mut s3, &"k".repeat(1025), &[], b"x"), failed("KeyTooLongError", 400));
        assert_eq!(s3.world(), json!([{"name": "ops", "region": "us-east-1", "objects": []}]));
        assert_eq!(
            code(call(&mut s3, "CreateBucket", json!({"Bucket": "ops"}), b"")),
            Err("BucketAlreadyOwnedByYou".to_owned())
        );
        call(&mut s3, "CreateBucket", json!({"Bucket": "new"}), b"").unwrap();
    }

    #[test]
    fn a_bucket_is_made_where_the_call_goes() {
        let body = |place: &str| {
            format!(
                "<CreateBucketConfiguration><LocationConstraint>{place}</LocationConstraint></CreateBucketConfiguration>"
            )
        };
        let made = |place: Option<&str>, region: &str| {
            let body = place.map(body).unwrap_or_default();
            located(&body, region).map_err(|error| (error.code, error.status))
        };
        for (place, region) in [(None, "us-east-1"), (Some("eu-west-1"), "eu-west-1"), (Some("EU"), "eu-west-1")] {
            assert_eq!(made(place, region), Ok(()), "{place:?} in {region}");
        }
        let illegal = Err(("IllegalLocationConstraintException".to_owned(), 400));
        for (place, region) in [(None, "eu-west-1"), (Some("eu-west-2"), "eu-west-1"), (Some("eu-west-1"), "us-east-1")]
        {
            assert_eq!(made(place, region), illegal, "{place:?} in {region}");
        }
        assert_eq!(made(Some("us-east-1"), "us-east-1"), Err(("InvalidLocationConstraint".to_owned(), 400)));
    }

    /// "If a request arrives at the wrong Amazon S3 location ... a permanent redirect" (301), with the bucket's region beside it.
    #[test]
    fn a_bucket_of_another_region_says_which() {
        let mut s3 = S3::new(&["ops".to_owned()], "eu-west-1");
        for action in ["HeadBucket", "GetObject", "PutObject", "ListObjectsV2"] {
            let error = call(&mut s3, action, json!({"Bucket": "ops", "Key": "k"}), b"").unwrap_err();
            assert_eq!((error.code.as_str(), error.status), ("PermanentRedirect", 301), "{action}");
            assert_eq!(error.headers, [("x-amz-bucket-region", "eu-west-1".to_owned())], "{action}");
        }
        let here = call(&mut S3::new(&["ops".to_owned()], "us-east-1"), "HeadBucket", json!({"Bucket": "ops"}), b"");
        assert_eq!(here.unwrap().object.unwrap().headers, [("x-amz-bucket-region", "us-east-1".to_owned())]);
    }

    #[test]
    fn listings_are_in_order_and_in_pages() {
        let mut s3 = S3::new(&["ops".to_owned()], "us-east-1");
        for key in ["b/3", "a/1", "b/1", "b/2 x", "c"] {
            put(&mut s3, key, &[], b"12345").unwrap();
        }
        let page = |s3: &mut S3, token: Option<&str>| {
            let mut asked = json!({"Bucket": "ops", "Prefix": "b/", "MaxKeys": "2", "EncodingType": "url"});
            if let Some(token) = token {
                asked["ContinuationToken"] = token.into();
            }
            call(s3, "ListObjectsV2", asked, b"").unwrap().body
        };
        let first = page(&mut s3, None);
        assert!(first.contains("<Key>b/1</Key>") && first.contains("<Key>b/2%20x</Key>"), "{first}");
        assert!(first.contains("<Size>5</Size>") && first.contains("<IsTruncated>true</IsTruncated>"), "{first}");
        let token = first.split_once("<NextContinuationToken>").unwrap().1.split('<').next().unwrap();
        let second = page(&mut s3, Some(token));
        assert!(second.contains("<KeyCount>1</KeyCount>") && second.contains("<Key>b/3</Key>"), "{second}");
        assert!(second.contains("<IsTruncated>false</IsTruncated>"), "{second}");
    }
}
