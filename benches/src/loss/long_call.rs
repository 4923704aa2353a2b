//! A call that takes half a minute, and one whose server is killed while it runs.

use std::time::{Duration, Instant};

use rpc::driver::DriverConfig;
use rpc::impair::Impairments;
use rpc::{Client, ClientConfig};

use super::tally::{Ledger, Setup, TallyClient};
use crate::figure::{Figure, Unit};
use crate::rpc::side::ANYWHERE;

/// How long a call runs before its server is killed.
const BEFORE_THE_KILL: Duration = Duration::from_millis(500);

/// Makes one call that takes so long, and one that loses its server.
///
/// # Errors
///
/// A call failed that should not have: a sentence for the user.
pub fn measure(takes: Duration) -> Result<Vec<Figure>, String> {
    let ledger = Ledger::new("long-call");
    let ledger_path = ledger.path().to_owned();
    let impairments = Impairments::default();
    let setup = Setup { bind: ANYWHERE, ledger: ledger_path, workers: 2, impairments, suppress_duplicates: true };
    let server = setup.start()?;
    let address = server.place().parse().map_err(|_| "the server announced no address")?;
    let timeout = takes * 2 + Duration::from_secs(60);
    let config = ClientConfig { timeout, driver: DriverConfig::plain(), ..ClientConfig::plain() };
    let client = Client::connect(address, config).map_err(|error| error.to_string())?;
    let stub = TallyClient::new(client.clone());
    let datagrams = || {
        let transport = client.counters().transport;
        transport.datagrams_sent + transport.datagrams_received
    };
    // The session is open before anything is counted.
    stub.increment(0).map_err(|error| error.to_string())?;

    let (before, milliseconds) = (datagrams(), takes.as_millis() as u64);
    stub.work(1, milliseconds).map_err(|error| format!("the long call failed: {error}"))?;
    // The request and the reply are no control packets.
    let control = (datagrams() - before).saturating_sub(2);

    let (sent, given_up) = std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let sent = Instant::now();
            (sent, stub.work(2, milliseconds + 60_000).err().map(|_| Instant::now()))
        });
        std::thread::sleep(BEFORE_THE_KILL);
        server.kill();
        call.join().map_err(|_| "the caller panicked".to_owned())
    })?;
    let given_up = given_up.ok_or("a call returned whose server was killed")?;
    let known = (given_up - sent).saturating_sub(BEFORE_THE_KILL);
    let executions = ledger.executions(3)?;
    let figure = |name: &str, unit, value| Figure::of(name, unit, vec![value]);
    Ok(vec![
        figure("long_call_seconds", Unit::Seconds, takes.as_secs_f64()),
        figure("long_call_control_packets", Unit::Datagrams, control as f64),
        figure("long_call_executions", Unit::Count, executions[1].into()),
        figure("killed_server_known_after", Unit::Seconds, known.as_secs_f64()),
    ])
}
