//! S3, as far as state needs it: small objects that are written on a condition, read whole, and listed.

use super::Clients;
use super::classify::garbled;
use super::convert::{need, pages, read};
use crate::model::{Fault, Region};
use aws_sdk_s3::primitives::ByteStream;

const PUT: &str = "PutObject";
const GET: &str = "GetObject";
const LIST: &str = "ListObjectsV2";
const HEAD: &str = "HeadBucket";
/// The header that tells where a bucket is, whatever became of the call.
const PLACE: &str = "x-amz-bucket-region";

/// On what condition an object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Only {
    /// Whatever is there.
    Always,
    /// When nothing is there (`If-None-Match: *`).
    New,
    /// When what is there has this ETag (`If-Match`).
    Over(String),
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// Its ETag, for [`Only::Over`].
    pub etag: String,
}

impl Clients {
    /// The region that a bucket is in; none where S3 does not say, so that the next call does. Told even to who may not look
    /// into it, and by the refusal of another region (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>).
    ///
    /// # Errors
    ///
    /// As the call, where it may be repeated.
    pub async fn bucket_region(&self, bucket: &str) -> Result<Option<Region>, Fault> {
        let told = match self.s3().head_bucket().bucket(bucket).send().await {
            Ok(answer) => answer.bucket_region,
            Err(error) => {
                let place = error.raw_response().and_then(|raw| raw.headers().get(PLACE)).map(str::to_owned);
                let fault = super::classify::fault(HEAD, &error);
                if place.is_none() && fault.kind.retryable() {
                    return Err(fault);
                }
                place
            }
        };
        Ok(told.map(Region::new))
    }

    /// Writes an object; its ETag, or none when the condition did not hold. Writing the same again is safe: a write whose
    /// answer was lost meets its own object.
    ///
    /// # Errors
    ///
    /// As the call; one that crossed another write of the same key is `Busy` and may be sent again.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        bytes: &[u8],
        only: &Only,
    ) -> Result<Option<String>, Fault> {
        let call = self.s3().put_object().bucket(bucket).key(key).body(ByteStream::from(bytes.to_vec()));
        let call = match only {
            Only::Always => call,
            Only::New => call.if_none_match("*"),
            Only::Over(etag) => call.if_match(etag),
        };
        match read(PUT, call.send()).await {
            Ok(answer) => need(PUT, "ETag", answer.e_tag).map(Some),
            Err(fault) if fault.code == "PreconditionFailed" => Ok(None),
            // What was to be replaced is gone.
            Err(fault) if fault.code == "NoSuchKey" && matches!(only, Only::Over(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Reads an object; none when nothing is there.
    ///
    /// # Errors
    ///
    /// As the call; a body that breaks off or does not fit its checksum is `Transport`.
    pub async fn get_object(&self, bucket: &str, key: &str) -> Result<Option<Got>, Fault> {
        let answer = match read(GET, self.s3().get_object().bucket(bucket).key(key).send()).await {
            Ok(answer) => answer,
            Err(fault) if fault.code == "NoSuchKey" => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let etag = need(GET, "ETag", answer.e_tag)?;
        let body = answer.body.collect().await.map_err(|error| garbled(GET, &super::classify::chain(&error)))?;
        Ok(Some(Got { bytes: body.to_vec(), etag }))
    }

    /// Keys that begin with a prefix, in order, with their sizes in bytes.
    ///
    /// # Errors
    ///
    /// As the call.
    pub async fn list_objects(&self, bucket: &str, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        pages(LIST, |token| async {
            let call = self.s3().list_objects_v2().bucket(bucket).prefix(prefix).set_continuation_token(token);
            let answer = read(LIST, call.send()).await?;
            let object = |object: aws_sdk_s3::types::Object| {
                let key = need(LIST, "key", object.key)?;
                let size = object.size.and_then(|size| u64::try_from(size).ok());
                Ok((key, need(LIST, "size", size)?))
            };
            let objects = answer.contents.unwrap_or_default().into_iter().map(object).collect::<Result<_, Fault>>()?;
            Ok((objects, answer.next_continuation_token))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::responder::{Canned, Responder};
    use super::*;
    use crate::model::FaultKind;

    fn refusal(status: u16, code: &str) -> Canned {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>m</Message>\
             <RequestId>r-1</RequestId><HostId>h</HostId></Error>"
        );
        Canned::new(status, body)
    }

    #[tokio::test]
    async fn a_write_says_its_condition_and_what_became_of_it() {
        let done = Canned::new(200, "").with_headers("etag: \"e-1\"\r\n");
        let server = Responder::start([
            done.clone(),
            refusal(412, "PreconditionFailed"),
            refusal(404, "NoSuchKey"),
            refusal(409, "ConditionalRequestConflict"),
            refusal(404, "NoSuchBucket"),
        ])
        .await;
        let clients = server.clients().await;
        let put = async |only: Only| clients.put_object("ops", "a/b 1", b"hello", &only).await;
        assert_eq!(put(Only::New).await, Ok(Some("\"e-1\"".to_owned())));
        assert_eq!(put(Only::Over("\"e-1\"".to_owned())).await, Ok(None), "another was faster");
        assert_eq!(put(Only::Over("\"e-1\"".to_owned())).await, Ok(None), "what was there is gone");
        let crossed = put(Only::New).await.unwrap_err();
        assert_eq!((crossed.kind, crossed.request_id.as_deref()), (FaultKind::Busy, Some("r-1")));
        assert!(crossed.kind.retryable());
        let missing = put(Only::New).await.unwrap_err();
        assert_eq!((missing.code.as_str(), missing.kind.retryable()), ("NoSuchBucket", false));
        let sent = server.heads();
        assert!(sent[0].starts_with("put /ops/a/b%201"), "path style at an endpoint of one's own: {}", sent[0]);
        assert!(sent[0].contains("if-none-match: *"), "{}", sent[0]);
        assert!(sent[1].contains("if-match: \"e-1\""), "{}", sent[1]);
    }

    #[tokio::test]
    async fn a_bucket_says_where_it_is_even_when_it_refuses() {
        let told = |status: u16| Canned::new(status, "").with_headers("x-amz-bucket-region: eu-west-1\r\n");
        let silent = |status: u16| Canned::new(status, "");
        let server =
            Responder::start([told(200), told(301), told(400), told(403), silent(403), silent(404), silent(503)]).await;
        let clients = server.clients().await;
        let there = Ok(Some(Region::new("eu-west-1")));
        for status in [200, 301, 400, 403] {
            assert_eq!(clients.bucket_region("ops").await, there, "{status}");
        }
        assert_eq!(clients.bucket_region("ops").await, Ok(None), "403");
        assert_eq!(clients.bucket_region("ops").await, Ok(None), "404");
        assert!(clients.bucket_region("ops").await.is_err_and(|fault| fault.kind.retryable()), "503");
    }

    #[tokio::test]
    async fn what_is_read_is_whole_or_an_error() {
        let body = Canned::new(200, "hello world").with_headers("etag: \"e\"\r\nx-amz-checksum-crc32: DUoRhQ==\r\n");
        let list = Canned::new(
            200,
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>5</Size></Contents></ListBucketResult>",
        );
        let server = Responder::start([
            body.clone(),
            body.cut(5),
            body.torn(5),
            refusal(404, "NoSuchKey"),
            list.clone(),
            list.cut(60),
        ])
        .await;
        let clients = server.clients().await;
        let got = clients.get_object("ops", "k").await.unwrap().unwrap();
        assert_eq!((got.bytes.as_slice(), got.etag.as_str()), (b"hello world".as_slice(), "\"e\""));
        for how in ["cut", "torn"] {
            let fault = clients.get_object("ops", "k").await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Transport, "{how}: {fault}");
        }
        assert_eq!(clients.get_object("ops", "k").await, Ok(None));
        assert_eq!(clients.list_objects("ops", "").await, Ok(vec![("a".to_owned(), 5)]));
        assert_eq!(clients.list_objects("ops", "").await.unwrap_err().kind, FaultKind::Transport);
    }
}
