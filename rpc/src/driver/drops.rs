//! How many datagrams a socket's full receive buffer has cost.
//!
//! The kernel counts them for each socket and shows the count in /proc (proc_pid_net(5)). It would also tell with each datagram
//! (SO_RXQ_OVFL, socket(7)), but then each is a fifth of a microsecond dearer to read, whether or not anybody asks.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;

use nix::sys::stat::fstat;

/// Where the columns are that matter, in a line for each socket.
const INODE: usize = 9;
const DROPS: usize = 12;

/// What it has cost `socket` so far; `None` where /proc does not say. A few datagrams with a wrong UDP checksum may be counted, too.
pub(super) fn dropped(socket: &UdpSocket) -> Option<u64> {
    let is_v6 = socket.local_addr().ok()?.is_ipv6();
    let table = if is_v6 { "/proc/thread-self/net/udp6" } else { "/proc/thread-self/net/udp" };
    let inode = fstat(socket).ok()?.st_ino;
    BufReader::new(File::open(table).ok()?).lines().map_while(Result::ok).find_map(|line| of_inode(&line, inode))
}

/// The count in `line`, if that is about the socket of this inode.
fn of_inode(line: &str, inode: u64) -> Option<u64> {
    let mut columns = line.split_ascii_whitespace();
    let is_it = columns.nth(INODE)?.parse() == Ok(inode);
    is_it.then(|| columns.nth(DROPS - INODE - 1)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_that_of_the_socket_that_is_asked_for() {
        let line = " 7719: 0100007F:1E61 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4242 2 0000000000000000 99";
        assert_eq!(of_inode(line, 4242), Some(99));
        assert_eq!(of_inode(line, 4243), None);
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
        assert_eq!(of_inode(heading, 4242), None);
        assert_eq!(of_inode("", 0), None);
    }

    #[test]
    fn a_socket_that_has_lost_nothing_says_so_in_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            if let Ok(socket) = UdpSocket::bind(address) {
                assert_eq!(dropped(&socket), Some(0), "{address}");
            }
        }
    }
}
