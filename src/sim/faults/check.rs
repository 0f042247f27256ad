//! Checks of a fault script that its types cannot make.

use super::events::Which;
use super::{Effect, FaultScript, Point, ScriptError, span};

impl FaultScript {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    ///
    /// With the first thing that makes no sense, named by its place.
    pub fn check(&self) -> Result<(), ScriptError> {
        let wrong = |what: String| Err(ScriptError(what));
        for (n, rule) in self.rules.iter().enumerate() {
            if rule.share_percent > 100 {
                return wrong(format!("rules[{n}].share_percent is {}, more than 100", rule.share_percent));
            }
            let only_after = matches!(rule.effect, Effect::Cut | Effect::CutClean | Effect::Garble);
            if only_after && rule.point == Some(Point::BeforeCommit) {
                return wrong(format!("rules[{n}]: only an answer can be cut or garbled, so point is after-commit"));
            }
            match &rule.effect {
                Effect::LateCommit { .. } if rule.point == Some(Point::AfterCommit) => {
                    return wrong(format!("rules[{n}]: a late commit comes before the commit"));
                }
                Effect::Delay { seconds } | Effect::LateCommit { seconds }
                    if !(0.0..=86_400.0 * 365.0).contains(seconds) =>
                {
                    return wrong(format!("rules[{n}]: {seconds} seconds is not a time to wait"));
                }
                Effect::Error(error) if !(400..600).contains(&error.status) => {
                    return wrong(format!("rules[{n}]: HTTP status {} is not an error", error.status));
                }
                Effect::Error(_)
                | Effect::Reset
                | Effect::Cut
                | Effect::CutClean
                | Effect::Garble
                | Effect::Hang
                | Effect::Delay { .. }
                | Effect::LateCommit { .. } => {}
            }
        }
        for (n, event) in self.hosts.iter().enumerate() {
            match (&event.at, &event.when) {
                (Some(at), None) if span(at).is_none() => {
                    return wrong(format!("hosts[{n}].at: {at} is not a time such as 90s or 10m"));
                }
                (None, Some(when)) if when.call == 0 => return wrong(format!("hosts[{n}].when.call counts from 1")),
                (Some(_), None) | (None, Some(_)) => {}
                (Some(_), Some(_)) | (None, None) => {
                    return wrong(format!("hosts[{n}] wants exactly one of at and when"));
                }
            }
            if Which::parse(&event.which).is_none() {
                return wrong(format!(
                    "hosts[{n}].which: {} is neither an instance id nor a launch index such as 3 or spot:0",
                    event.which
                ));
            }
        }
        for (n, stuck) in self.stuck.iter().enumerate() {
            if !["pending", "shutting-down", "stopping"].contains(&stuck.state.as_str()) {
                return wrong(format!("stuck[{n}].state: {} is not pending, shutting-down or stopping", stuck.state));
            }
        }
        let shares = self.stuck.iter().map(|s| s.share_percent);
        if let Some(share) =
            shares.chain(self.die_after_launch.iter().map(|d| d.share_percent)).find(|share| *share > 100)
        {
            return wrong(format!("a share_percent of {share} is more than 100"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_by_its_place() {
        let check = |text: &str| serde_json::from_str::<FaultScript>(text).expect(text).check().map_err(|e| e.0);
        for (text, said) in [
            (r#"{"rules":[{"action":"*","do":"cut","point":"before-commit"}]}"#, "rules[0]: only an answer"),
            (r#"{"rules":[{"action":"*","do":"reset","share_percent":101}]}"#, "rules[0].share_percent"),
            (r#"{"hosts":[{"which":"spot:0","do":"kill"}]}"#, "hosts[0] wants exactly one"),
            (r#"{"hosts":[{"at":"soon","which":"spot:0","do":"kill"}]}"#, "hosts[0].at"),
            (r#"{"hosts":[{"at":"1s","which":"some","do":"kill"}]}"#, "hosts[0].which"),
            (r#"{"stuck":[{"state":"running"}]}"#, "stuck[0].state"),
        ] {
            let error = check(text).expect_err(text);
            assert!(error.starts_with(said), "{error}");
        }
        assert!(serde_json::from_str::<FaultScript>(r#"{"rule":[]}"#).is_err());
    }
}
