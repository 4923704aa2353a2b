//! Datagrams: whether loopback carries them, and how many fit in a socket's buffers.

use super::Finding;
use super::text::human;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use std::io;
use std::net::UdpSocket;
use std::time::Duration;

/// Fifteen pages: about the largest datagram that the transport sends over loopback.
const LARGE_BYTES: usize = 15 * 4096;
/// Loopback delivers before the send returns; this only bounds a broken one.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn loopback() -> Finding {
    match send_to_self() {
        Ok(()) => Finding::fine("loopback", "UDP datagrams of 1 and of 61440 bytes arrive"),
        Err(error) => Finding::missing(
            "loopback",
            format!("UDP datagrams to 127.0.0.1 do not arrive ({error})"),
            "sudo ip link set lo up, and let the firewall pass UDP on lo",
        ),
    }
}

fn send_to_self() -> io::Result<()> {
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    receiver.set_read_timeout(Some(PATIENCE))?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.connect(receiver.local_addr()?)?;
    receiver.connect(sender.local_addr()?)?;
    let mut buffer = vec![0; LARGE_BYTES + 1];
    for bytes in [1, LARGE_BYTES] {
        sender.send(&vec![7; bytes])?;
        if receiver.recv(&mut buffer)? != bytes {
            return Err(io::Error::other("a datagram came back with another length"));
        }
    }
    Ok(())
}

/// One finding for each direction: what a socket is really given, not what a setting promises.
pub(super) fn buffers(wanted: usize) -> Vec<Finding> {
    let socket = match UdpSocket::bind("127.0.0.1:0") {
        Ok(socket) => socket,
        Err(error) => {
            let what = format!("no UDP socket can be had ({error})");
            return vec![Finding::missing("socket buffers", what, "sudo ip link set lo up")];
        }
    };
    // The kernel doubles what it is asked for, to allow for its own bookkeeping, and reports the double.
    let received = setsockopt(&socket, sockopt::RcvBuf, &wanted).and_then(|()| getsockopt(&socket, sockopt::RcvBuf));
    let sent = setsockopt(&socket, sockopt::SndBuf, &wanted).and_then(|()| getsockopt(&socket, sockopt::SndBuf));
    vec![
        judge_buffer("receive buffer", "net.core.rmem_max", received.unwrap_or(0) / 2, wanted),
        judge_buffer("send buffer", "net.core.wmem_max", sent.unwrap_or(0) / 2, wanted),
    ]
}

fn judge_buffer(topic: &'static str, setting: &str, given: usize, wanted: usize) -> Finding {
    let (shown_given, shown_wanted) = (human(given as u64), human(wanted as u64));
    if given >= wanted {
        return Finding::fine(topic, format!("sockets are given the {shown_wanted} they ask for"));
    }
    Finding::degraded(
        topic,
        format!("sockets are given {shown_given} of the {shown_wanted} they ask for: bursts are lost and sent again"),
        format!("sudo sysctl -w {setting}={wanted}"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_small_buffer_names_the_setting_that_enlarges_it() {
        let finding = judge_buffer("receive buffer", "net.core.rmem_max", 212_992, 4 << 20);
        assert_eq!(finding.state, State::Degraded);
        assert_eq!(finding.remedy.as_deref(), Some("sudo sysctl -w net.core.rmem_max=4194304"));
        assert!(finding.what.contains("208.0 KiB of the 4.0 MiB"), "{}", finding.what);
        assert_eq!(judge_buffer("receive buffer", "x", 4 << 20, 4 << 20).state, State::Fine);
    }

    #[test]
    fn a_modest_wish_is_granted_on_any_machine() {
        assert!(buffers(64 << 10).iter().all(|finding| finding.state == State::Fine));
    }

    #[test]
    fn loopback_carries_datagrams_on_a_machine_that_runs_tests() {
        assert_eq!(loopback().state, State::Fine);
    }
}
