//! Receipt handles: opaque to clients, new at each receive, unforgeable by accident.

use super::super::api::ApiError;
use super::super::draw;
use super::queue::Key;
use data_encoding::BASE64URL;
use jiff::Timestamp;

/// What a handle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    /// Number of the queue, which a queue of the same name made later does not share.
    pub(super) queue: u64,
    /// The message.
    pub(super) key: Key,
    /// Which of its receives.
    pub(super) receive: u32,
}

impl Receipt {
    /// The handle.
    pub(super) fn handle(&self, seed: u64) -> String {
        let text = self.text();
        let check = draw::number(seed, &["receipt", &text]);
        BASE64URL.encode(format!("{text}|{check:016x}").as_bytes())
    }

    /// Reads a handle that was given for this queue.
    ///
    /// # Errors
    ///
    /// `ReceiptHandleIsInvalid` for anything else.
    pub(super) fn read(handle: &str, seed: u64, queue: u64) -> Result<Self, ApiError> {
        Self::parse(handle, seed).filter(|receipt| receipt.queue == queue).ok_or_else(|| {
            ApiError::new(
                "ReceiptHandleIsInvalid",
                format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
            )
        })
    }

    fn parse(handle: &str, seed: u64) -> Option<Self> {
        let text = String::from_utf8(BASE64URL.decode(handle.as_bytes()).ok()?).ok()?;
        let mut parts = text.split('|');
        let mut next = || parts.next();
        let queue = next()?.parse().ok()?;
        let sent = Timestamp::from_nanosecond(next()?.parse().ok()?).ok()?;
        let receipt = Self { queue, key: (sent, next()?.parse().ok()?), receive: next()?.parse().ok()? };
        (receipt.handle(seed) == handle).then_some(receipt)
    }

    fn text(&self) -> String {
        format!("{}|{}|{}|{}", self.queue, self.key.0.as_nanosecond(), self.key.1, self.receive)
    }
}
