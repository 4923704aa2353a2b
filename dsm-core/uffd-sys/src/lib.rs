//! userfaultfd constants.
