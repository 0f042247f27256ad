//! What a run left open that nobody goes on with: found out by looking, so that nobody has to wait for it.

use super::Steps;
use crate::engine::failure::Failure;
use crate::plan::Action;

impl Steps {
    /// Finds out how those calls of unknown outcome came out that make images, and ends the canary's queue. Tells whether
    /// the image of the template was made.
    ///
    /// # Errors
    ///
    /// When AWS or the journal can't be asked: nothing is known then, and the same again goes on.
    pub async fn settle_abandoned(&self) -> Result<bool, Failure> {
        let mut made = false;
        for step in &self.plan.steps {
            match &step.action {
                Action::Image(request) => {
                    self.settle_image(&step.id, &request.name, &request.tags).await?;
                    made = self.perhaps_made(&step.id);
                }
                Action::CopyImage(request) => {
                    self.at(&request.region).settle_image(&step.id, &request.name, &request.tags).await?;
                }
                Action::Canary { queue, .. } => self.canary_over(&step.id, queue).await?,
                _ => {}
            }
        }
        Ok(made)
    }
}
