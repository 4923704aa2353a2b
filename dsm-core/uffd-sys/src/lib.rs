//! The kernel's userfaultfd interface: the constants and structures of `<linux/userfaultfd.h>`, written out.
//!
//! It takes the place of the published `userfaultfd-sys`, which generates the same items with bindgen and so needs
//! libclang on the machine that builds. Here are the items that the `userfaultfd` crate uses, and the write-protecting
//! modes that the runtime passes itself. Meanings: `ioctl_userfaultfd(2)` and the kernel's
//! `Documentation/admin-guide/mm/userfaultfd.rst`.
//!
//! Names are the kernel's, so that a reader can look them up there.
#![allow(non_camel_case_types)]
#![forbid(unsafe_code)]

mod event;
mod feature;
mod ioctl;

pub use event::*;
pub use feature::*;
pub use ioctl::*;
