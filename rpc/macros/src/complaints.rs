//! What is wrong with a trait: all of it at once, each at its place.

use syn::{Error, Result};

/// Errors, gathered until the end of the checks.
#[derive(Default)]
pub struct Complaints {
    all: Option<Error>,
    count: usize,
}

impl Complaints {
    pub fn add(&mut self, complaint: Error) {
        self.count += 1;
        match &mut self.all {
            Some(all) => all.combine(complaint),
            None => self.all = Some(complaint),
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// The value, if there was nothing to complain about.
    pub fn into_result<T>(self, value: T) -> Result<T> {
        self.all.map_or(Ok(value), Err)
    }
}
