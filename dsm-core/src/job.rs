//! The contract between the launcher and a node: what a node finds in its environment.
//!
//! A program that the launcher starts finds the variables below; a program started by hand finds none of them and runs as
//! a job of one node. Both directions are here, [`Job::to_env`] and [`Job::from_env`], so that they cannot drift apart.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `DSM_RANK`, `DSM_SIZE` | this node's number and the count of nodes, decimal; rank < size <= 64 |
//! | `DSM_LAUNCHER` | `ip:port` of the launcher's rendezvous service |
//! | `DSM_LIFELINE` | an inherited descriptor: the read end of a pipe whose write end only the launcher holds; hang-up means that the launcher is gone |
//! | `DSM_KEY` | an inherited descriptor: a memory file with the 32 bytes of the job's key; or `plain`: the job has none |
//! | `DSM_REGION` | bytes of address space for the shared region |
//! | `DSM_CONSISTENCY` | `sequential` |
//! | `DSM_IMPAIR` | `loss=0.2,duplicate=0.05,reorder=0.1,corrupt=0.01,delay_us=2000,seed=7`; absent means none |
//! | `DSM_POLL` | microseconds for which a thread that waits for other nodes polls before it sleeps |
//! | `DSM_PREFETCH` | `on`, or `off`: fetch no pages ahead of threads that read in streams |
//! | `DSM_BIND` | `ip:port` that the node's UDP socket binds; port 0 means any |

mod variable;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::RawFd;
use std::str::FromStr;
use std::time::Duration;

use rpc::impair::Impairments;
use rpc::wire::Integrity;
use rpc::{Key, Security};

use variable::{Variable, decimal, impairments_from_text, impairments_to_text, poll, region_bytes, security, switch};

/// The most nodes that one job may have.
pub const NODES_MAX: usize = 64;

/// Bytes of address space for the region when nothing else is asked for: 64 GiB.
pub const REGION_BYTES_DEFAULT: u64 = 64 << 30;

/// How long a thread polls for what other nodes are about to send, before it sleeps: 100 us. A sleeping thread is woken later than
/// a datagram goes there and back.
pub const POLL_DEFAULT: Duration = Duration::from_micros(100);

/// The longest time of polling that can be asked for.
pub const POLL_MAX: Duration = Duration::from_secs(1);

/// The most address space that a region may take, in bytes: 32 TiB, a quarter of what a process has on x86-64.
pub const REGION_BYTES_MAX: u64 = 32 << 40;

/// The exit status of a node that lost a peer, or that left while others still needed it (`EX_SOFTWARE`).
pub const EXIT_PEER_LOST: i32 = 70;

/// A region is made of whole pages of this many bytes.
const PAGE_BYTES: u64 = 4096;

/// How the nodes' views of one page are kept in step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// One writer or many readers per page, so that all nodes see one order of all stores.
    #[default]
    Sequential,
}

impl FromStr for Consistency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sequential" => Ok(Consistency::Sequential),
            "release" => Err("release consistency is not offered yet; use sequential".to_string()),
            _ => Err("no such consistency; use sequential".to_string()),
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Consistency::Sequential => f.write_str("sequential"),
        }
    }
}

/// What guards a node's datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobSecurity {
    /// The key in this inherited descriptor.
    Key(RawFd),
    /// A CRC-32: whoever reaches the nodes can take part.
    Plain,
    /// A key that nobody else has, for a node that has nobody to talk to.
    Alone,
}

/// The job as one of its nodes sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// This node's number, from 0.
    pub rank: usize,
    /// How many nodes the job has, 1 to [`NODES_MAX`].
    pub size: usize,
    /// Where the launcher's rendezvous service answers; present whenever there is more than one node.
    pub launcher: Option<SocketAddr>,
    /// Number of the inherited descriptor that hangs up when the launcher is gone; see [`Job::open_lifeline`].
    pub lifeline: Option<RawFd>,
    /// What guards its datagrams; see [`Job::security`].
    pub security: JobSecurity,
    /// Address space of the region in bytes, a multiple of the page size.
    pub region_bytes: u64,
    /// The consistency of allocations that ask for none.
    pub consistency: Consistency,
    /// Faults to inject into what this node sends. The seed is the job's: every node finds the same number here, and must mix
    /// its rank into it if the nodes are not to lose the same packets.
    pub impairments: Impairments,
    /// How long to poll before sleeping; zero never polls.
    pub poll: Duration,
    /// Whether to fetch pages ahead of threads that read in streams.
    pub prefetch: bool,
    /// The address that the node's UDP socket binds.
    pub bind: SocketAddr,
}

/// A variable of the environment that no launcher would have written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the environment says {variable}={value}: {problem}; start the program with `dsm-node run -n N -- PROGRAM`, \
     or unset DSM_RANK and DSM_SIZE to run it alone"
)]
pub struct JobError {
    /// The variable's name.
    pub variable: &'static str,
    /// Its value, quoted; `(unset)` when it is missing.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Job {
    /// The job of a program that was started by hand: one node and every default.
    pub fn alone() -> Job {
        Job {
            rank: 0,
            size: 1,
            launcher: None,
            lifeline: None,
            security: JobSecurity::Alone,
            region_bytes: REGION_BYTES_DEFAULT,
            consistency: Consistency::default(),
            impairments: Impairments::default(),
            poll: POLL_DEFAULT,
            prefetch: true,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    /// Reads the job from this process's environment; `None` when there is none, because nobody launched this program.
    ///
    /// # Errors
    ///
    /// A variable that is missing, malformed or out of range, with its value and the remedy.
    pub fn from_env() -> Result<Option<Job>, JobError> {
        Job::from_lookup(|name: &str| std::env::var_os(name))
    }

    /// [`Job::from_env`] over any source of variables.
    fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Option<Job>, JobError> {
        let read = |name| Variable::read(name, &lookup);
        let (rank, size) = (read("DSM_RANK")?, read("DSM_SIZE")?);
        if rank.text.is_none() && size.text.is_none() {
            return Ok(None);
        }
        let nodes = size.parse(|text| decimal(text, 1, NODES_MAX as u64))?.ok_or_else(|| size.missing())?;
        let number = rank.parse(|text| decimal(text, 0, nodes - 1))?.ok_or_else(|| rank.missing())?;
        let launcher = read("DSM_LAUNCHER")?;
        let address = launcher.parse(variable::address)?;
        if address.is_none() && nodes > 1 {
            return Err(launcher.missing());
        }
        let key = read("DSM_KEY")?;
        let security = key.parse(security)?;
        if security.is_none() && address.is_some() {
            return Err(key.missing());
        }
        let alone = Job::alone();
        Ok(Some(Job {
            rank: number as usize,
            size: nodes as usize,
            launcher: address,
            lifeline: read("DSM_LIFELINE")?.parse(|text| decimal(text, 0, RawFd::MAX as u64))?.map(|fd| fd as RawFd),
            security: security.unwrap_or(alone.security),
            region_bytes: read("DSM_REGION")?.parse(region_bytes)?.unwrap_or(alone.region_bytes),
            consistency: read("DSM_CONSISTENCY")?.parse(str::parse)?.unwrap_or(alone.consistency),
            impairments: read("DSM_IMPAIR")?.parse(impairments_from_text)?.unwrap_or(alone.impairments),
            poll: read("DSM_POLL")?.parse(poll)?.unwrap_or(alone.poll),
            prefetch: read("DSM_PREFETCH")?.parse(switch)?.unwrap_or(alone.prefetch),
            bind: read("DSM_BIND")?.parse(variable::address)?.unwrap_or(alone.bind),
        }))
    }

    /// The variables that tell a child about this job: what [`Job::from_env`] reads.
    pub fn to_env(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("DSM_RANK", self.rank.to_string()),
            ("DSM_SIZE", self.size.to_string()),
            ("DSM_REGION", self.region_bytes.to_string()),
            ("DSM_CONSISTENCY", self.consistency.to_string()),
            ("DSM_POLL", self.poll.as_micros().to_string()),
            ("DSM_PREFETCH", if self.prefetch { "on" } else { "off" }.to_string()),
            ("DSM_BIND", self.bind.to_string()),
        ];
        variables.extend(self.launcher.map(|addr| ("DSM_LAUNCHER", addr.to_string())));
        variables.extend(self.lifeline.map(|fd| ("DSM_LIFELINE", fd.to_string())));
        variables.extend(match self.security {
            JobSecurity::Key(fd) => Some(("DSM_KEY", fd.to_string())),
            JobSecurity::Plain => Some(("DSM_KEY", "plain".to_string())),
            JobSecurity::Alone => None,
        });
        variables.extend(impairments_to_text(&self.impairments).map(|text| ("DSM_IMPAIR", text)));
        variables.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }

    /// What guards this node's datagrams: every socket of the job's needs it.
    ///
    /// # Errors
    ///
    /// The descriptor with the key is not open here, most likely because a program between the launcher and this one closed it; or there
    /// is no key in it.
    pub fn security(&self) -> Result<Security, JobError> {
        let fd = match self.security {
            JobSecurity::Plain => return Ok(Security::Plain(Integrity::Crc32)),
            JobSecurity::Alone => {
                let none = |problem: String| JobError { variable: "DSM_KEY", value: "(unset)".to_string(), problem };
                return Ok(Key::random().map_err(|error| none(error.to_string()))?.into());
            }
            JobSecurity::Key(fd) => fd,
        };
        let failed = |problem| JobError { variable: "DSM_KEY", value: fd.to_string(), problem };
        let mut bytes = [0; 32];
        // Opened anew, it is read from its beginning, however often it was read before.
        let read = File::open(format!("/proc/self/fd/{fd}")).and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|error| failed(format!("no key can be read from this descriptor ({error})")))?;
        Ok(Key::from_bytes(bytes).into())
    }

    /// A descriptor of our own for the lifeline: poll it, and a hang-up says that the launcher is gone. `None` when there is no
    /// launcher.
    ///
    /// It is opened anew through `/proc/self/fd`, because a number alone gives no right to close the descriptor behind it.
    ///
    /// # Errors
    ///
    /// The descriptor is not open here, most likely because a program between the launcher and this one closed it.
    pub fn open_lifeline(&self) -> Result<Option<File>, JobError> {
        let Some(fd) = self.lifeline else { return Ok(None) };
        match File::open(format!("/proc/self/fd/{fd}")) {
            Ok(file) => Ok(Some(file)),
            Err(error) => Err(JobError {
                variable: "DSM_LIFELINE",
                value: fd.to_string(),
                problem: format!("this descriptor cannot be opened ({error})"),
            }),
        }
    }
}

/// Every name that [`Job::to_env`] may write, so that a launcher can keep its own out of its children.
pub(crate) const VARIABLES: [&str; 11] = [
    "DSM_RANK",
    "DSM_SIZE",
    "DSM_LAUNCHER",
    "DSM_LIFELINE",
    "DSM_KEY",
    "DSM_REGION",
    "DSM_CONSISTENCY",
    "DSM_IMPAIR",
    "DSM_POLL",
    "DSM_PREFETCH",
    "DSM_BIND",
];

/// Whether a region of `bytes` bytes can exist at all; says why not.
pub(crate) fn check_region_bytes(bytes: u64) -> Result<(), String> {
    if !(PAGE_BYTES..=REGION_BYTES_MAX).contains(&bytes) {
        return Err(format!("a region has {PAGE_BYTES} bytes to {} TiB", REGION_BYTES_MAX >> 40));
    }
    match bytes % PAGE_BYTES {
        0 => Ok(()),
        _ => Err(format!("a region is made of whole pages of {PAGE_BYTES} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Job>, JobError> {
        let map: BTreeMap<_, _> = variables.iter().copied().collect();
        Job::from_lookup(|name: &str| map.get(name).map(OsString::from))
    }

    fn read_with(name: &str, value: &str) -> Result<Option<Job>, JobError> {
        let sound = [("DSM_RANK", "1"), ("DSM_SIZE", "2"), ("DSM_LAUNCHER", "127.0.0.1:4000"), ("DSM_KEY", "5")];
        let mut variables: BTreeMap<_, _> = sound.into_iter().collect();
        variables.insert(name, value);
        read(&variables.into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn without_a_job_in_the_environment_there_is_none() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("DSM_REGION", "4096")]), Ok(None));
    }

    #[test]
    fn a_job_survives_the_way_through_the_environment() {
        let job = Job {
            rank: 3,
            size: 5,
            launcher: Some(SocketAddr::from(([127, 0, 0, 1], 4000))),
            lifeline: Some(7),
            security: JobSecurity::Key(8),
            region_bytes: 1 << 40,
            consistency: Consistency::Sequential,
            impairments: Impairments {
                loss: 0.2,
                duplicate: 0.05,
                reorder: 1.0 / 3.0,
                corrupt: 1e-9,
                delay: Duration::from_micros(2500),
                seed: u64::MAX,
            },
            poll: Duration::from_micros(7),
            prefetch: false,
            bind: "[::1]:9000".parse().unwrap(),
        };
        let variables = job.to_env();
        assert!(variables.iter().all(|(name, _)| VARIABLES.contains(&name.as_str())));
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read(&variables), Ok(Some(job)));
    }

    #[test]
    fn a_job_without_impairments_names_none() {
        assert!(Job::alone().to_env().iter().all(|(name, _)| name != "DSM_IMPAIR"));
    }

    #[test]
    fn a_value_that_no_launcher_writes_is_refused_by_name() {
        let wrong = [
            ("DSM_RANK", "2"),
            ("DSM_RANK", "-1"),
            ("DSM_SIZE", "65"),
            ("DSM_SIZE", "0"),
            ("DSM_SIZE", "two"),
            ("DSM_LAUNCHER", "localhost"),
            ("DSM_LIFELINE", "-1"),
            ("DSM_KEY", ""),
            ("DSM_KEY", "-1"),
            ("DSM_KEY", "none"),
            ("DSM_REGION", "4097"),
            ("DSM_REGION", "0"),
            ("DSM_REGION", "99999999999999999999"),
            ("DSM_CONSISTENCY", "release"),
            ("DSM_CONSISTENCY", ""),
            ("DSM_IMPAIR", ""),
            ("DSM_IMPAIR", "loss"),
            ("DSM_IMPAIR", "loss=1.5"),
            ("DSM_IMPAIR", "loss=NaN"),
            ("DSM_IMPAIR", "colour=0.5"),
            ("DSM_IMPAIR", "delay_us=-3"),
            ("DSM_PREFETCH", "perhaps"),
            ("DSM_BIND", "127.0.0.1"),
        ];
        for (name, value) in wrong {
            let error = read_with(name, value).unwrap_err();
            assert_eq!((error.variable, error.value), (name, format!("{value:?}")));
            assert!(!error.problem.is_empty());
        }
    }

    #[test]
    fn half_a_job_is_an_error_and_not_a_program_alone() {
        assert_eq!(read(&[("DSM_RANK", "0")]).unwrap_err().variable, "DSM_SIZE");
        assert_eq!(read(&[("DSM_SIZE", "2")]).unwrap_err().variable, "DSM_RANK");
        assert_eq!(read(&[("DSM_RANK", "0"), ("DSM_SIZE", "2")]).unwrap_err().variable, "DSM_LAUNCHER");
        assert_eq!(read(&[("DSM_RANK", "0"), ("DSM_SIZE", "1")]).unwrap().unwrap(), Job::alone());
    }

    #[test]
    fn an_error_tells_the_variable_the_value_and_the_remedy() {
        let message = read_with("DSM_CONSISTENCY", "release").unwrap_err().to_string();
        assert!(message.contains("DSM_CONSISTENCY=\"release\"") && message.contains("not offered yet"), "{message}");
        assert!(message.contains("dsm-node run"), "{message}");
    }

    #[test]
    fn a_job_that_says_nothing_of_a_key_is_refused_and_a_key_that_cannot_be_read_too() {
        let keyless = [("DSM_RANK", "1"), ("DSM_SIZE", "2"), ("DSM_LAUNCHER", "127.0.0.1:4000")];
        let error = read(&keyless).unwrap_err();
        assert_eq!((error.variable, error.value.as_str()), ("DSM_KEY", "(unset)"));
        let plain = read_with("DSM_KEY", "plain").unwrap().unwrap();
        assert_eq!(plain.security().unwrap(), Security::Plain(Integrity::Crc32));
        let closed = Job { security: JobSecurity::Key(RawFd::MAX), ..Job::alone() };
        assert_eq!(closed.security().unwrap_err().variable, "DSM_KEY");
        assert_ne!(Job::alone().security().unwrap(), Job::alone().security().unwrap());
    }

    #[test]
    fn a_lifeline_that_is_not_open_is_an_error() {
        let job = Job { lifeline: Some(RawFd::MAX), ..Job::alone() };
        assert_eq!(job.open_lifeline().unwrap_err().variable, "DSM_LIFELINE");
        assert!(Job::alone().open_lifeline().unwrap().is_none());
    }

    #[test]
    fn a_lifeline_hangs_up_when_its_other_end_closes() {
        use std::io::Read;
        use std::os::fd::AsRawFd;

        let (reader, writer) = std::io::pipe().unwrap();
        let job = Job { lifeline: Some(reader.as_raw_fd()), ..Job::alone() };
        let mut lifeline = job.open_lifeline().unwrap().unwrap();
        drop(writer);
        assert_eq!(lifeline.read(&mut [0]).unwrap(), 0);
    }
}
