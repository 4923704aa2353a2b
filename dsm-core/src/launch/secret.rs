//! How a job's key gets to its nodes.
//!
//! In a memory file that they inherit, as they do the lifeline; the environment has only the number of the descriptor. So the key is
//! in no command line and in no environment, which are copied into logs, crash reports and every child, and which `ps` shows. A
//! memory file, unlike a pipe, can be read by every process below a wrapper, and more than once. It is sealed: nobody can change
//! what the others read. Whoever may look into a node's memory can read it, and nobody else.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rpc::Key;

/// A descriptor from which children can read the key.
pub(super) fn memory_file(key: &Key) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("dsm-key", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    file.write_all(key.bytes())?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use rpc::Security;

    use super::*;
    use crate::job::{Job, JobSecurity};

    #[test]
    fn a_node_reads_the_key_as_often_as_it_likes_and_cannot_change_it() {
        let key = Key::random().unwrap();
        let mut file = File::from(memory_file(&key).unwrap());
        let job = Job { security: JobSecurity::Key(file.as_raw_fd()), ..Job::alone() };
        for _ in 0..2 {
            assert_eq!(job.security().unwrap(), Security::PreShared(key.clone()));
        }
        assert!(file.write_all(&[0]).is_err() && file.set_len(0).is_err());
    }
}
