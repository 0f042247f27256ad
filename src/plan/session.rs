//! Whether credentials that end hold until the job is done.

use super::estimate::{Job, length};
use crate::spec::Fleet;
use jiff::{SignedDuration, Timestamp};

/// What to do about a session that is too short.
pub const LONGER: &str =
    "log in again just before the job, for a longer session; one that ends stops a run resumably (exit 5)";

/// How long the job may take, and what says so: its items at the feed's pace, its deadline, or when hosts expire.
pub fn job_length(fleet: &Fleet, job: &Job) -> Option<(SignedDuration, String)> {
    let known = length(job).map(|(seconds, because)| (SignedDuration::from_secs(seconds), because));
    known.or_else(|| {
        let hosts = fleet.fleet.as_ref()?;
        Some((SignedDuration::try_from(hosts.expires).unwrap_or(SignedDuration::MAX), "fleet.expires".to_owned()))
    })
}

/// How the end of a session stands to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    /// It has ended.
    Ended(String),
    /// It ends before the job is estimated to end.
    Short(String),
    /// It is longer than the job, or nobody knows how long the job takes.
    Enough(String),
}

/// Holds the end of a session against a job that begins now.
pub fn session(now: Timestamp, end: Timestamp, job: Option<&(SignedDuration, String)>) -> Session {
    let left = end.duration_since(now);
    if left <= SignedDuration::ZERO {
        return Session::Ended(format!("it ended at {end:.0}"));
    }
    let hours = |minutes: i64| format!("{} h {:02} min", minutes / 60, minutes % 60);
    let ends = format!("it ends at {end:.0}, in {}", hours((left.as_secs() / 60).max(1)));
    match job {
        Some((length, because)) if left < *length => {
            Session::Short(format!("{ends}; the job may take {} ({because})", hours(length.as_secs() / 60)))
        }
        Some(_) | None => Session::Enough(ends),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_held_against_the_job() {
        let now = Timestamp::constant(1_800_000_000, 0);
        let job = (SignedDuration::from_hours(2), "the deadline".to_owned());
        let at = |minutes| session(now, now + SignedDuration::from_mins(minutes), Some(&job));
        assert!(matches!(at(0), Session::Ended(_)));
        let Session::Short(why) = at(90) else { panic!("{:?}", at(90)) };
        assert!(why.ends_with("in 1 h 30 min; the job may take 2 h 00 min (the deadline)"), "{why}");
        assert!(matches!(at(120), Session::Enough(_)));
        assert!(matches!(session(now, now + SignedDuration::from_mins(1), None), Session::Enough(_)));
    }
}
