//! The errors of methods that have errors of their own.

use thiserror::Error;

use super::error::{CallError, Ran};

/// Why a method that returns `Result<T, E>` gave no `T`. The client stubs return it as `Result<T, Failure<E>>`, so that one
/// `?` or one `match` meets everything that can go wrong.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Failure<E> {
    /// The method ran, and this is its own error.
    #[error("{0}")]
    Application(E),
    /// Something happened to the call.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl<E> Failure<E> {
    /// Whether the method has run.
    pub fn ran(&self) -> Ran {
        match self {
            Failure::Application(_) => Ran::Yes,
            Failure::Call(error) => error.ran,
        }
    }

    /// One result of two.
    ///
    /// # Errors
    /// The method's own error, or the call's.
    pub fn flatten<T>(result: Result<Result<T, E>, CallError>) -> Result<T, Self> {
        result?.map_err(Failure::Application)
    }
}
