//! `up`: verify, bake, launch, push, feed, wait, down when done. Each part finds out by itself what is done already.

use super::context::Context;
use crate::cli::request::{Bake, Down, Launch, Push, Up, Verify};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::spec::Need;

impl Context {
    pub(super) async fn up(&self, wanted: Up) -> Result<Exit, Failure> {
        let held = self.hold("up").await?;
        self.need(Need::Hosts)?;
        if let Some(template) = &self.fleet.template {
            if self.attestation(&held.state, template.instance.as_str())?.is_none() {
                self.verify_held(&held, Verify::default()).await?;
            }
            self.bake_held(&held, Bake { if_changed: true, ..Bake::default() }).await?;
        }
        self.launch_held(&held, &Launch::default()).await?;
        if self.has(Need::Release) {
            self.push_held(&held, &Push::default()).await?;
        }
        if self.has(Need::Feed) {
            self.feed_held(&held).await?;
        }
        if !self.has(Need::Queue) {
            self.events.note("the spec names no queue: the fleet is up, and nobody can tell when its job is done");
            return Ok(Exit::Done);
        }
        match self.wait().await {
            Ok(exit) if wanted.keep => {
                self.events.note("the fleet is kept; fleetwright down ends it");
                Ok(exit)
            }
            Ok(_) => self.down_held(&held, Down::default()).await,
            Err(failure) => Err(failure.hint("the fleet is kept, since its job is not done")),
        }
    }
}
