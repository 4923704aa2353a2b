//! Breaks a rule of the protocols on purpose, to show that the checkers on real processes would notice.
//!
//! Only with the feature `planted`, which no program that ships has: then `DSM_PLANT` names a bug of the
//! [protocols](protocol::planted::Bug) or of the [transport](rpc::planted::Bug) for every node that finds it in its environment.

use protocol::planted::Bug as Protocol;
use rpc::planted::Bug as Transport;

use super::Engine;
use crate::job::JobError;

const VARIABLE: &str = "DSM_PLANT";

impl Engine {
    /// The same with the bug that the environment names, if it names one.
    pub(crate) fn planted(mut self) -> Result<Engine, JobError> {
        let Some(value) = std::env::var_os(VARIABLE) else { return Ok(self) };
        let name = value.to_str().unwrap_or_default();
        if let Some(bug) = Protocol::named(name) {
            self.pages.plant(bug);
            self.locks.plant(bug);
            self.barrier.plant(bug);
        } else if let Some(bug) = Transport::named(name) {
            self.driver.plant(bug);
        } else {
            let protocol = Protocol::ALL.iter().map(|bug| bug.name());
            let names: Vec<&str> = protocol.chain(Transport::ALL.iter().map(|bug| bug.name())).collect();
            let problem = format!("no such bug; there are {}", names.join(", "));
            return Err(JobError { variable: VARIABLE, value: format!("{value:?}"), problem });
        }
        Ok(self)
    }
}
