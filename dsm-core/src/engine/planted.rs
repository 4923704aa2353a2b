//! Breaks a rule of the protocols on purpose, to show that the checkers on real processes would notice.
//!
//! Only with the feature `planted`, which no program that ships has: then `DSM_PLANT` names a
//! [`Bug`](protocol::planted::Bug) for every node that finds it in its environment.

use protocol::planted::Bug;

use super::Engine;
use crate::job::JobError;

const VARIABLE: &str = "DSM_PLANT";

impl Engine {
    /// The same with the bug that the environment names, if it names one.
    pub(crate) fn planted(mut self) -> Result<Engine, JobError> {
        let Some(value) = std::env::var_os(VARIABLE) else { return Ok(self) };
        let bug = value.to_str().and_then(Bug::named).ok_or_else(|| {
            let names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
            let problem = format!("no such bug; there are {}", names.join(", "));
            JobError { variable: VARIABLE, value: format!("{value:?}"), problem }
        })?;
        self.pages.plant(bug);
        self.locks.plant(bug);
        self.barrier.plant(bug);
        Ok(self)
    }
}
