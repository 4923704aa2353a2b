//! Which method of which service, as people write it.

use std::net::SocketAddr;
use std::str::FromStr;

use rpc::names::check_name;

/// `NAME.method`, or `IP:PORT/Service.method`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    pub place: Place,
    pub method: String,
}

/// Where the method is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// At a server of this name.
    Name(String),
    /// At this address, in this service.
    At(SocketAddr, String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not NAME.method (such as bank.balance) or IP:PORT/Service.method");
        let (addr, path) = match text.rsplit_once('/') {
            Some((addr, path)) => (Some(addr), path),
            None => (None, text),
        };
        let (service, method) = path.split_once('.').ok_or_else(wrong)?;
        if service.is_empty() || method.is_empty() || method.contains('.') {
            return Err(wrong());
        }
        let place = match addr {
            Some(addr) => {
                let addr = addr.parse().map_err(|_| format!("`{addr}` is not an address such as 127.0.0.1:4000"))?;
                Place::At(addr, service.to_owned())
            }
            None => {
                check_name(service).map_err(|error| error.to_string())?;
                Place::Name(service.to_owned())
            }
        };
        Ok(Target { place, method: method.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target, String> {
        text.parse()
    }

    #[test]
    fn names_and_addresses_are_told_apart() {
        let named = Target { place: Place::Name("bank".to_owned()), method: "balance".to_owned() };
        assert_eq!(target("bank.balance"), Ok(named));
        for addr in ["127.0.0.1:4000", "[::1]:4000"] {
            let place = Place::At(addr.parse().expect("an address"), "Bank".to_owned());
            assert_eq!(target(&format!("{addr}/Bank.balance")), Ok(Target { place, method: "balance".to_owned() }));
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_an_example() {
        for text in ["", "bank", "bank.", ".balance", "bank.a.b", "127.0.0.1:4000/Bank"] {
            assert!(target(text).expect_err("refused").contains("bank.balance"), "{text}");
        }
        assert!(target("here:4000/Bank.balance").expect_err("refused").contains("such as 127.0.0.1:4000"));
        assert!(target("bänk.balance").expect_err("refused").contains("cannot be a name"));
    }
}
