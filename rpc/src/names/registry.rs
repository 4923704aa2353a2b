//! The names and who has them. Pure: the time is an argument.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Time;

use super::{Entry, LEASE_MAX, LEASE_MIN, NAME_BYTES_MAX, NameError, check_name};

/// How much a name server keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Registrations, of all names together.
    pub entries: usize,
    /// Registrations of one name.
    pub entries_per_name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { entries: 4_096, entries_per_name: 64 }
    }
}

/// All registrations.
#[derive(Debug)]
pub(super) struct Registry {
    limits: Limits,
    names: BTreeMap<String, BTreeMap<SocketAddr, Leased>>,
    count: usize,
    /// No lease ends before this.
    next_end: Time,
}

#[derive(Debug)]
struct Leased {
    entry: Entry,
    ends: Time,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Self {
        Registry { limits, names: BTreeMap::new(), count: 0, next_end: Time::MAX }
    }

    /// Enters or renews; gives the lease.
    pub(super) fn register(&mut self, now: Time, entry: Entry, lease: Duration) -> Result<Duration, NameError> {
        self.expire(now);
        check(&entry)?;
        let lease = lease.clamp(LEASE_MIN, LEASE_MAX);
        let servers = self.names.get(&entry.name);
        if let Some(other) = servers.and_then(|servers| {
            servers.values().find(|other| other.entry.service != entry.service && other.entry.addr != entry.addr)
        }) {
            return Err(NameError::OtherService { name: entry.name, service: other.entry.service.clone() });
        }
        let is_new = servers.is_none_or(|servers| !servers.contains_key(&entry.addr));
        if is_new {
            let of_name = servers.map_or(0, BTreeMap::len);
            if self.count >= self.limits.entries {
                return Err(NameError::Full(self.count));
            }
            if of_name >= self.limits.entries_per_name {
                return Err(NameError::Full(of_name));
            }
            self.count += 1;
        }
        let ends = now + lease;
        self.next_end = self.next_end.min(ends);
        self.names.entry(entry.name.clone()).or_default().insert(entry.addr, Leased { entry, ends });
        Ok(lease)
    }

    /// Takes a server out, if it is this incarnation of it.
    pub(super) fn withdraw(&mut self, now: Time, name: &str, addr: SocketAddr, incarnation: u64) -> bool {
        self.expire(now);
        let Some(servers) = self.names.get_mut(name) else { return false };
        if servers.get(&addr).is_none_or(|leased| leased.entry.incarnation != incarnation) {
            return false;
        }
        servers.remove(&addr);
        self.count = self.count.saturating_sub(1);
        if servers.is_empty() {
            self.names.remove(name);
        }
        true
    }

    /// The servers of a name.
    pub(super) fn resolve(&mut self, now: Time, name: &str) -> Result<Vec<Entry>, NameError> {
        self.expire(now);
        check_name(name)?;
        match self.names.get(name) {
            Some(servers) => Ok(servers.values().map(|leased| leased.entry.clone()).collect()),
            None => Err(NameError::Unknown(name.to_owned())),
        }
    }

    /// Everything.
    pub(super) fn list(&mut self, now: Time) -> Vec<Entry> {
        self.expire(now);
        self.names.values().flat_map(BTreeMap::values).map(|leased| leased.entry.clone()).collect()
    }

    fn expire(&mut self, now: Time) {
        if now < self.next_end {
            return;
        }
        for servers in self.names.values_mut() {
            servers.retain(|_, leased| leased.ends > now);
        }
        self.names.retain(|_, servers| !servers.is_empty());
        let ends = || self.names.values().flat_map(BTreeMap::values).map(|leased| leased.ends);
        self.count = ends().count();
        self.next_end = ends().min().unwrap_or(Time::MAX);
    }
}

fn check(entry: &Entry) -> Result<(), NameError> {
    check_name(&entry.name)?;
    if entry.service.is_empty() || entry.service.len() > NAME_BYTES_MAX {
        return Err(NameError::BadName(entry.service.chars().take(NAME_BYTES_MAX).collect()));
    }
    if entry.addr.ip().is_unspecified() || entry.addr.ip().is_multicast() || entry.addr.port() == 0 {
        return Err(NameError::BadAddress(entry.addr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Time = Time::ZERO;

    fn entry(name: &str, port: u16) -> Entry {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        Entry { name: name.to_owned(), addr, incarnation: 1, service: "Bank".to_owned(), version: 1, schema: 2 }
    }

    fn ports(registry: &mut Registry, now: Time, name: &str) -> Vec<u16> {
        registry
            .resolve(now, name)
            .map_or_else(|_| Vec::new(), |found| found.iter().map(|one| one.addr.port()).collect())
    }

    #[test]
    fn several_servers_have_one_name() {
        let mut registry = Registry::new(Limits::default());
        for port in [2, 1] {
            assert_eq!(registry.register(START, entry("bank", port), SECOND), Ok(SECOND));
        }
        assert_eq!(ports(&mut registry, START, "bank"), [1, 2]);
        assert_eq!(registry.resolve(START, "shop"), Err(NameError::Unknown("shop".to_owned())));
        assert_eq!(registry.list(START).len(), 2);
    }

    #[test]
    fn a_lease_that_is_not_renewed_ends() {
        let mut registry = Registry::new(Limits::default());
        registry.register(START, entry("bank", 1), SECOND).expect("room");
        registry.register(START, entry("bank", 2), SECOND).expect("room");
        registry.register(START + SECOND / 2, entry("bank", 2), SECOND).expect("a renewal");
        assert_eq!(ports(&mut registry, START + SECOND * 9 / 10, "bank"), [1, 2]);
        assert_eq!(ports(&mut registry, START + SECOND, "bank"), [2]);
        assert_eq!(registry.list(START + SECOND * 2), []);
        assert_eq!(registry.count, 0);
    }

    #[test]
    fn leases_are_neither_too_short_nor_for_ever() {
        let mut registry = Registry::new(Limits::default());
        assert_eq!(registry.register(START, entry("bank", 1), Duration::ZERO), Ok(LEASE_MIN));
        assert_eq!(registry.register(START, entry("bank", 1), Duration::MAX), Ok(LEASE_MAX));
    }

    #[test]
    fn a_late_withdrawal_does_not_take_out_the_next_incarnation() {
        let mut registry = Registry::new(Limits::default());
        let old = entry("bank", 1);
        registry.register(START, old.clone(), SECOND).expect("room");
        registry.register(START, Entry { incarnation: 2, ..old.clone() }, SECOND).expect("its place");
        assert!(!registry.withdraw(START, "bank", old.addr, 1));
        assert_eq!(ports(&mut registry, START, "bank"), [1]);
        assert!(registry.withdraw(START, "bank", old.addr, 2));
        assert!(!registry.withdraw(START, "bank", old.addr, 2));
        assert_eq!(registry.count, 0);
    }

    #[test]
    fn a_name_means_one_service_but_any_version_of_it() {
        let mut registry = Registry::new(Limits::default());
        registry.register(START, entry("bank", 1), SECOND).expect("room");
        let other = Entry { service: "Shop".to_owned(), ..entry("bank", 2) };
        let refusal = NameError::OtherService { name: "bank".to_owned(), service: "Bank".to_owned() };
        assert_eq!(registry.register(START, other.clone(), SECOND), Err(refusal));
        assert!(registry.register(START, Entry { version: 2, ..entry("bank", 2) }, SECOND).is_ok());
        assert!(registry.register(START + SECOND, other, SECOND).is_ok(), "the name is free again");
    }

    #[test]
    fn the_limits_hold_and_renewals_find_room() {
        let mut registry = Registry::new(Limits { entries: 3, entries_per_name: 2 });
        for port in [1, 2] {
            registry.register(START, entry("bank", port), SECOND).expect("room");
        }
        assert_eq!(registry.register(START, entry("bank", 3), SECOND), Err(NameError::Full(2)));
        registry.register(START, entry("shop", 3), SECOND).expect("room");
        assert_eq!(registry.register(START, entry("mill", 4), SECOND), Err(NameError::Full(3)));
        assert!(registry.register(START, entry("bank", 1), SECOND).is_ok());
        assert!(registry.register(START + SECOND, entry("mill", 4), SECOND).is_ok());
    }

    #[test]
    fn names_and_addresses_that_are_none_are_refused() {
        let mut registry = Registry::new(Limits::default());
        for name in ["", "a.b", "a/b", "bänk", "a\n", &"x".repeat(65)] {
            let refused = registry.register(START, entry(name, 1), SECOND);
            assert!(matches!(refused, Err(NameError::BadName(_))), "{name}");
            assert!(matches!(registry.resolve(START, name), Err(NameError::BadName(_))), "{name}");
        }
        let long = Entry { service: "x".repeat(65), ..entry("bank", 1) };
        assert!(matches!(registry.register(START, long, SECOND), Err(NameError::BadName(_))));
        for addr in ["0.0.0.0:1", "[::]:1", "127.0.0.1:0", "224.0.0.1:1"] {
            let addr = addr.parse().expect("an address");
            let nowhere = Entry { addr, ..entry("bank", 1) };
            assert_eq!(registry.register(START, nowhere, SECOND), Err(NameError::BadAddress(addr)));
        }
        assert_eq!(registry.list(START), []);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Register(u8, u16, u64),
        Withdraw(u8, u16, u64),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4u8, 1..5u16, 0..2u64).prop_map(|(name, port, incarnation)| Step::Register(name, port, incarnation)),
            (0..4u8, 1..5u16, 0..2u64).prop_map(|(name, port, incarnation)| Step::Withdraw(name, port, incarnation)),
            (0..700u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn what_is_kept_is_counted_and_bounded(steps in prop::collection::vec(step(), 0..60)) {
            let mut registry = Registry::new(Limits { entries: 6, entries_per_name: 3 });
            let mut now = START;
            for step in steps {
                match step {
                    Step::Register(name, port, incarnation) => {
                        let entry = Entry { incarnation, ..entry(&format!("n{name}"), port) };
                        let _ = registry.register(now, entry, SECOND);
                    }
                    Step::Withdraw(name, port, incarnation) => {
                        let addr = SocketAddr::from(([127, 0, 0, 1], port));
                        registry.withdraw(now, &format!("n{name}"), addr, incarnation);
                    }
                    Step::Wait(ms) => now += Duration::from_millis(ms),
                }
                let all = registry.list(now);
                prop_assert_eq!(all.len(), registry.count);
                prop_assert!(all.len() <= 6);
                prop_assert!(registry.names.values().all(|servers| (1..=3).contains(&servers.len())));
            }
        }
    }
}
