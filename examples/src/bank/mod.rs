//! A bank: the service to try names, calls from the shell and byte orders on.
//!
//! Deposits and withdrawals must not run twice; asking for a balance may. The books are in memory: branches of the bank
//! know nothing of each other, so the balance tells which one was asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest name of an account, bytes.
pub const ACCOUNT_BYTES_MAX: usize = 64;
/// Most accounts of a branch.
pub const ACCOUNTS_MAX: usize = 10_000;
/// Most lines in the books; the oldest go.
pub const NOTES_MAX: usize = 100;

/// What a branch does.
#[rpc::service(version = 1)]
pub trait Bank {
    /// Adds to an account; gives the new balance.
    fn deposit(&self, account: String, cents: u64) -> Result<u64, Refused>;

    /// Takes from an account; gives the new balance.
    fn withdraw(&self, account: String, cents: u64) -> Result<u64, Refused>;

    /// What is in an account.
    #[rpc(idempotent, inline)]
    fn balance(&self, account: String) -> u64;

    /// Leaves a line in the books.
    #[rpc(oneway)]
    fn note(&self, line: String);

    /// The last lines of the books.
    #[rpc(idempotent)]
    fn notes(&self) -> Vec<String>;
}

/// Why the bank says no.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Error)]
pub enum Refused {
    /// There is less in the account.
    #[error("there are only {balance} cents in the account")]
    Overdrawn {
        /// How much there is.
        balance: u64,
    },
    /// More than can be counted.
    #[error("the account would hold more than can be counted")]
    TooMuch,
    /// No account can have such a name, or there are too many.
    #[error("no such account can be opened")]
    NoAccount,
}

/// One branch.
#[derive(Debug, Default)]
pub struct Branch {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    accounts: BTreeMap<String, u64>,
    notes: Vec<String>,
}

impl Branch {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bank for Branch {
    fn deposit(&self, account: String, cents: u64) -> Result<u64, Refused> {
        let mut books = self.books();
        let is_new = !books.accounts.contains_key(&account);
        let fits = (1..=ACCOUNT_BYTES_MAX).contains(&account.len()) && books.accounts.len() < ACCOUNTS_MAX;
        if is_new && !fits {
            return Err(Refused::NoAccount);
        }
        let balance = books.accounts.entry(account).or_default();
        *balance = balance.checked_add(cents).ok_or(Refused::TooMuch)?;
        Ok(*balance)
    }

    fn withdraw(&self, account: String, cents: u64) -> Result<u64, Refused> {
        let mut books = self.books();
        let Some(balance) = books.accounts.get_mut(&account) else { return Err(Refused::Overdrawn { balance: 0 }) };
        *balance = balance.checked_sub(cents).ok_or(Refused::Overdrawn { balance: *balance })?;
        Ok(*balance)
    }

    fn balance(&self, account: String) -> u64 {
        self.books().accounts.get(&account).copied().unwrap_or_default()
    }

    fn note(&self, line: String) {
        let notes = &mut self.books().notes;
        if notes.len() >= NOTES_MAX {
            notes.remove(0);
        }
        notes.push(line.chars().take(ACCOUNT_BYTES_MAX).collect());
    }

    fn notes(&self) -> Vec<String> {
        self.books().notes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deposited_can_be_withdrawn_once() {
        let branch = Branch::default();
        assert_eq!(branch.deposit("ada".to_owned(), 5), Ok(5));
        assert_eq!(branch.withdraw("ada".to_owned(), 3), Ok(2));
        assert_eq!(branch.withdraw("ada".to_owned(), 3), Err(Refused::Overdrawn { balance: 2 }));
        assert_eq!((branch.balance("ada".to_owned()), branch.balance("bob".to_owned())), (2, 0));
    }

    #[test]
    fn the_books_are_bounded() {
        let branch = Branch::default();
        assert_eq!(branch.deposit(String::new(), 1), Err(Refused::NoAccount));
        assert_eq!(branch.deposit("x".repeat(ACCOUNT_BYTES_MAX + 1), 1), Err(Refused::NoAccount));
        assert_eq!(branch.deposit("ada".to_owned(), u64::MAX), Ok(u64::MAX));
        assert_eq!(branch.deposit("ada".to_owned(), 1), Err(Refused::TooMuch));
        (0..=NOTES_MAX).for_each(|line| branch.note(line.to_string()));
        assert_eq!((branch.notes().len(), branch.notes()[0].as_str()), (NOTES_MAX, "1"));
    }
}
