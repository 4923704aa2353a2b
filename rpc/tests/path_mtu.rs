//! The kernel's word on datagrams that are too large for a link: in a network namespace of its own, whose only link is a loopback
//! interface as narrow as an Ethernet, with addresses that look like any others.

use std::process::Command;
use std::time::{Duration, Instant};

use rpc::driver::{Driver, DriverConfig, Inbox, Incoming};
use rpc::transport::{Channel, TransportConfig};

const INSIDE: &str = "RPC_TEST_INSIDE_A_NAMESPACE";
const THIS: &str = "the_kernel_says_what_a_link_takes_and_nothing_is_lost";

#[test]
fn the_kernel_says_what_a_link_takes_and_nothing_is_lost() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let run = "ip link set lo mtu 1500 up && ip addr add 10.9.0.1/24 dev lo && ip addr add fd00::1/64 dev lo nodad && exec \"$0\" \"$@\"";
    let itself = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", run])
        .arg(itself)
        .args(["--exact", THIS, "--nocapture"])
        .env(INSIDE, "1")
        .output();
    match output {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("not permitted") => {
            eprintln!("skipped: a network namespace needs more rights than this user has");
        }
        Err(error) => eprintln!("skipped: no unshare(1) here ({error})"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
        }
    }
}

fn inside() {
    for (addr, link) in [("10.9.0.1:0", 1_472), ("[fd00::1]:0", 1_452)] {
        let config = || DriverConfig {
            transport: TransportConfig { datagram_max: 8_972, ..TransportConfig::plain() },
            ..DriverConfig::plain()
        };
        let mut a = Driver::bind(addr.parse().unwrap(), config()).unwrap();
        let mut b = Driver::bind(addr.parse().unwrap(), config()).unwrap();
        let peer = a.connect(b.local_addr()).unwrap();
        for fill in 0..20u8 {
            a.send(peer, Channel(4), &[&vec![fill; 100_000]]).unwrap();
        }
        a.flush();
        let (mut of_a, mut of_b, mut arrived, guard) = (Inbox::new(), Inbox::new(), 0, Instant::now());
        while arrived < 20 || a.unacknowledged(peer) > 0 {
            assert!(guard.elapsed() < Duration::from_secs(60), "{arrived} arrived: {:?}", a.counters());
            a.receive(&mut of_a).unwrap();
            b.receive(&mut of_b).unwrap();
            for incoming in of_a.drain().chain(of_b.drain()) {
                match incoming {
                    Incoming::Message { body, .. } => {
                        assert_eq!(body.len(), 100_000);
                        arrived += 1;
                    }
                    Incoming::Lost { reason, .. } => panic!("{reason}"),
                    Incoming::Up { .. } => {}
                }
            }
        }
        assert_eq!(a.datagram_size(peer), Some(link));
        assert!(a.counters().probes > 1, "{:?}", a.counters());
    }
}
