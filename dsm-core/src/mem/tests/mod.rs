//! Tests on a real userfaultfd.
