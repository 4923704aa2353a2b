//! Alone in its process, to count threads and sockets.

mod common;

use std::fs;

use common::*;

/// Threads of endpoints and workers, by the names that they are given.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("rpc-"))).count()
}

fn sockets() -> usize {
    let files = fs::read_dir("/proc/self/fd").unwrap().flatten();
    files.filter(|file| fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))).count()
}

#[test]
fn a_client_and_a_server_that_are_dropped_leave_no_thread_and_no_socket() {
    guarded(|| {
        let sockets_before = sockets();
        for stop in [true, false] {
            let (server, _bench) = serve(|builder| builder.pool(3));
            let lab = lab(&server);
            assert_eq!(lab.increment().unwrap(), 1);
            // A thread takes its name when it first runs.
            until("all threads run", || threads() == 5);
            if stop {
                server.stop();
            } else {
                drop(server);
            }
            drop(lab);
            until("the kernel has forgotten the threads", || threads() == 0);
            assert_eq!(sockets(), sockets_before);
        }
    });
}
