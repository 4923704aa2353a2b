//! What every call from C goes through.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::RwLock;

use dsm_core::{Dsm, Error};

/// This process as a node; nothing before `dsm_init` and after `dsm_finalize`.
pub(crate) static NODE: RwLock<Option<Dsm>> = RwLock::new(None);

thread_local! {
    static LAST_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Why a call did nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    NotJoined,
    JoinedBefore,
    Busy,
    Placement(c_int),
    Node(c_int),
    Consistency(c_int),
    Library(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Library(error)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NotJoined => {
                f.write_str("this process is in no job: call dsm_init first, and nothing after dsm_finalize")
            }
            Refusal::JoinedBefore => f.write_str("dsm_init was called before: a process joins once"),
            Refusal::Busy => f.write_str("another thread is inside a dsm call: let all of them return first"),
            Refusal::Placement(value) => write!(f, "{value} is no placement: use DSM_PLACE_BLOCK, _CYCLIC or _NODE"),
            Refusal::Node(value) => write!(f, "there is no node {value}"),
            Refusal::Consistency(value) => {
                write!(f, "{value} is no consistency that is offered: use DSM_CONSISTENCY_DEFAULT or _SEQUENTIAL")
            }
            Refusal::Library(error) => error.fmt(f),
        }
    }
}

/// Runs `work` on the node, and keeps why it did not succeed.
pub(crate) fn with_node<R>(work: impl FnOnce(&Dsm) -> Result<R, Refusal>) -> Option<R> {
    report(|| {
        let node = NODE.read().map_err(|_| Refusal::Busy)?;
        work(node.as_ref().ok_or(Refusal::NotJoined)?)
    })
}

/// Runs `work`, and keeps why it did not succeed. A panic is such a reason, and ends here.
pub(crate) fn report<R>(work: impl FnOnce() -> Result<R, Refusal>) -> Option<R> {
    let (result, error) = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(result)) => (Some(result), None),
        Ok(Err(refusal)) => (None, Some(refusal.to_string())),
        Err(_) => (None, Some("the library has a fault of its own and says more on the error output".to_string())),
    };
    let text = error.map(|text| CString::new(text.replace('\0', " ")).unwrap_or_default());
    LAST_ERROR.with(|last| *last.borrow_mut() = text);
    result
}

/// The text for `dsm_last_error`.
pub(crate) fn last_error() -> *const c_char {
    LAST_ERROR.with(|last| last.borrow().as_ref().map_or(ptr::null(), |text| text.as_ptr()))
}
