//! What is compared.

use std::fmt;
use std::str::FromStr;

/// One way of calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// Datagrams and nothing else.
    Udp {
        /// Whether both sides poll before they sleep.
        polling: bool,
    },
    /// A connection and nothing else; both sides sleep.
    Tcp(Congestion),
    /// Ours.
    Ours(Ours),
    /// Somebody else's, in the program of the peers; both sides sleep.
    Peer(Peer),
}

/// Our calls, and how they are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Whether datagrams are encrypted, with a key that both sides have; otherwise a CRC-32 guards them.
    pub encrypted: bool,
    /// Whether both sides poll before they sleep.
    pub polling: bool,
    /// Calls as futures under tokio, not blocking ones.
    pub futures: bool,
    /// Everything that arrives is acknowledged at once, by a datagram of its own.
    pub explicit: bool,
}

/// Which of the kernel's congestion controls a TCP connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congestion {
    /// The one that the administrator has set.
    Default,
    /// CUBIC (RFC 9438), which Linux comes with: it takes every loss for congestion.
    Cubic,
    /// BBR, where the kernel has it: it looks at rates and round trips.
    Bbr,
}

/// A stack that people use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// tarpc, over TCP with bincode.
    Tarpc,
    /// tonic: gRPC over HTTP/2.
    Tonic,
    /// quinn: QUIC, with a stream for each call.
    Quinn,
}

impl Stack {
    /// All, in the order in which they take turns.
    pub const ALL: [Stack; 14] = [
        Stack::Udp { polling: true },
        Stack::Udp { polling: false },
        Stack::Ours(Ours { encrypted: false, polling: true, futures: false, explicit: false }),
        Stack::Ours(Ours { encrypted: false, polling: false, futures: false, explicit: false }),
        Stack::Peer(Peer::Tarpc),
        Stack::Ours(Ours { encrypted: false, polling: true, futures: true, explicit: false }),
        Stack::Ours(Ours { encrypted: false, polling: false, futures: true, explicit: false }),
        Stack::Ours(Ours { encrypted: true, polling: true, futures: false, explicit: false }),
        Stack::Ours(Ours { encrypted: true, polling: false, futures: false, explicit: false }),
        Stack::Ours(Ours { encrypted: true, polling: true, futures: true, explicit: false }),
        Stack::Peer(Peer::Tonic),
        Stack::Tcp(Congestion::Default),
        Stack::Ours(Ours { encrypted: false, polling: false, futures: false, explicit: true }),
        Stack::Peer(Peer::Quinn),
    ];

    /// Whether it needs the program of the peers.
    pub fn is_peer(self) -> bool {
        matches!(self, Stack::Peer(_))
    }

    /// How its sides wait, for people.
    pub fn waiting(self) -> &'static str {
        match self {
            Stack::Udp { polling: true } | Stack::Ours(Ours { polling: true, .. }) => "polling 100 us",
            _ => "sleeping",
        }
    }
}

impl FromStr for Stack {
    type Err = String;

    fn from_str(name: &str) -> Result<Stack, String> {
        let others = [Stack::Tcp(Congestion::Cubic), Stack::Tcp(Congestion::Bbr)];
        let found = Stack::ALL.into_iter().chain(others).find(|stack| stack.to_string() == name);
        found.ok_or_else(|| {
            let all: Vec<String> = Stack::ALL.iter().map(Stack::to_string).collect();
            format!("no stack is called {name}; there are {}", all.join(", "))
        })
    }
}

/// As figures and command lines have it.
impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stack::Udp { polling: true } => f.write_str("udp_polling"),
            Stack::Udp { polling: false } => f.write_str("udp_sleeping"),
            Stack::Tcp(Congestion::Default) => f.write_str("tcp"),
            Stack::Tcp(Congestion::Cubic) => f.write_str("tcp_cubic"),
            Stack::Tcp(Congestion::Bbr) => f.write_str("tcp_bbr"),
            Stack::Ours(ours) => {
                f.write_str(if ours.encrypted { "rpc_encrypted" } else { "rpc_plain" })?;
                f.write_str(if ours.polling { "_polling" } else { "_sleeping" })?;
                f.write_str(if ours.explicit { "_explicit" } else { "" })?;
                f.write_str(if ours.futures { "_async" } else { "" })
            }
            Stack::Peer(Peer::Tarpc) => f.write_str("tarpc"),
            Stack::Peer(Peer::Tonic) => f.write_str("tonic"),
            Stack::Peer(Peer::Quinn) => f.write_str("quinn"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stack_is_found_by_its_name() {
        for stack in Stack::ALL {
            assert_eq!(stack.to_string().parse(), Ok(stack));
        }
        assert!("carrier_pigeon".parse::<Stack>().is_err_and(|why| why.contains("rpc_plain_sleeping_async")));
    }
}
