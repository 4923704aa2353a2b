//! The lessons.

use std::time::Duration;

use rpc::Security;
use rpc::codec::ByteOrder;
use rpc::impair::Impairments;
use rpc::wire::Integrity;
use rpc::{Bytes, CallError};

use super::{Comparison, Lesson, LessonError, Run, Setup, Stage, Tally};

const MS: Duration = Duration::from_millis(1);

/// All of them, in the order of the chapter.
pub const ALL: &[Lesson] = &[
    Lesson {
        name: "checksum-off",
        switch: "TransportConfig::security = Plain(Integrity::None) at both ends",
        setup: || {
            let mut setup = faulty(Impairments { corrupt: 0.1, seed: 11, ..Impairments::default() });
            setup.server.impairments = Impairments::default();
            setup
        },
        off: |setup| {
            // Some calls will never be answered.
            setup.client.timeout = 150 * MS;
            setup.drivers().into_iter().for_each(|driver| driver.transport.security = Security::Plain(Integrity::None));
        },
        act: echo_in_turn,
        tell: |Comparison { without, with }| {
            format!(
                "One in ten of the client's datagrams is damaged on the wire: one to four of its bits are flipped. Without a checksum \
                 {} of {} calls were answered with other bytes than were sent, and nobody noticed; {} had no answer, because \
                 the damage hit what the transport needs itself. With a CRC-32 {} damaged datagrams were dropped and sent again: \
                 {} wrong answers, {} calls without one.",
                without.tally.wrong,
                without.tally.calls,
                without.tally.failed(),
                with.seen.damaged,
                with.tally.wrong,
                with.tally.failed(),
            )
        },
    },
    Lesson {
        name: "retry-off",
        switch: "Lessons::no_retransmission at both ends",
        setup: || faulty(Impairments { loss: 0.1, seed: 12, ..Impairments::default() }),
        off: |setup| {
            setup.client.timeout = 50 * MS;
            setup.drivers().into_iter().for_each(|driver| driver.transport.lessons.no_retransmission = true);
        },
        act: |stage| write_in_turn(stage, 100),
        tell: |Comparison { without, with }| {
            format!(
                "One datagram in ten is lost, in each direction. Without retransmission {} of {} calls had no answer, though {} ran: \
                 a caller cannot tell whether the request was lost or the reply. With it {} fragments were sent again, \
                 and {} calls had no answer.",
                without.tally.failed(),
                without.tally.calls,
                without.executions,
                with.seen.retransmissions,
                with.tally.failed(),
            )
        },
    },
    Lesson {
        name: "duplicates",
        switch: "Lessons::deliver_duplicates and ReplyLimits::suppress_duplicates = false at the server",
        setup: || faulty(Impairments { duplicate: 0.2, seed: 13, ..Impairments::default() }),
        off: |setup| {
            setup.server.transport.lessons.deliver_duplicates = true;
            setup.replies.suppress_duplicates = false;
        },
        act: |stage| write_in_turn(stage, 200),
        tell: |Comparison { without, with }| {
            format!(
                "The network delivers one datagram in five twice. Where nobody looks for copies, {} calls ran {} times. With \
                 sequence numbers the {} copies were dropped: {} calls, {} executions.",
                without.tally.calls, without.executions, with.seen.duplicates, with.tally.calls, with.executions,
            )
        },
    },
    Lesson {
        name: "fixed-timeout",
        switch: "Lessons::fixed_timeout = 4 ms at both ends",
        setup: || faulty(Impairments { delay: 10 * MS, seed: 14, ..Impairments::default() }),
        off: |setup| {
            setup.drivers().into_iter().for_each(|driver| driver.transport.lessons.fixed_timeout = Some(4 * MS))
        },
        act: |stage| write_in_turn(stage, 50),
        tell: |Comparison { without, with }| {
            format!(
                "Datagrams take 10 ms on average, and nothing is lost. With a timeout of 4 ms, which suits a faster network, {} \
                 fragments were sent again for {} calls, every one of them in vain. A timeout that follows the measured \
                 round trips: {}.",
                without.seen.retransmissions, without.tally.calls, with.seen.retransmissions,
            )
        },
    },
    Lesson {
        name: "no-back-off",
        switch: "Lessons::no_back_off at the client",
        setup: Setup::usual,
        off: |setup| setup.client.driver.transport.lessons.no_back_off = true,
        act: |stage| {
            let mut tally = write_in_turn(stage, 10)?;
            tally.note(stage.client().stall(400).map(|()| true));
            Ok(tally)
        },
        tell: |Comparison { without, with }| {
            format!(
                "For 400 ms the server does not hear. A client that does not back off sent its one request {} times more, as if that \
                 could help; with many such clients, the server would come back to a queue full of copies: congestion. With \
                 back-off (x 1.5 each time): {}.",
                without.seen.retransmissions, with.seen.retransmissions,
            )
        },
    },
    Lesson {
        name: "no-fragments",
        switch: "Lessons::no_fragmentation at the client",
        setup: Setup::usual,
        off: |setup| setup.client.driver.transport.lessons.no_fragmentation = true,
        act: |stage| {
            let mut tally = Tally::default();
            for size in [1_000, 100_000] {
                let bytes = pattern(size, 1);
                tally.note(stage.client().echo(Bytes::from(bytes.clone())).map(|answer| *answer == *bytes));
            }
            Ok(tally)
        },
        tell: |Comparison { without, with }| {
            format!(
                "A call with 1,000 bytes and one with 100,000: more than the largest datagram holds. Without fragmentation {} of {} was \
                 answered; the other failed with \"{}\". With it: {} of {}.",
                without.tally.answered,
                without.tally.calls,
                told(&without.tally.error),
                with.tally.answered,
                with.tally.calls,
            )
        },
    },
    Lesson {
        name: "explicit-acks",
        switch: "TransportConfig::ack_delay = 0 at both ends",
        setup: Setup::usual,
        off: |setup| setup.drivers().into_iter().for_each(|driver| driver.transport.ack_delay = Duration::ZERO),
        act: |stage| write_in_turn(stage, 500),
        tell: |Comparison { without, with }| {
            format!(
                "{} calls, one after the other. When every message is acknowledged by a datagram of its own, a call is {:.2} datagrams: \
                 request, acknowledgement, reply, acknowledgement. When the reply acknowledges the request, and the next \
                 request the reply: {:.2}.",
                without.tally.calls,
                datagrams_per_call(without),
                datagrams_per_call(with),
            )
        },
    },
    Lesson {
        name: "no-working-acks",
        switch: "Lessons::no_working_acks at the server",
        setup: Setup::usual,
        off: |setup| setup.server.transport.lessons.no_working_acks = true,
        act: |stage| {
            let mut tally = write_in_turn(stage, 10)?;
            tally.note(stage.client().think(400).map(|()| true));
            Ok(tally)
        },
        tell: |Comparison { without, with }| {
            format!(
                "A call takes the server 400 ms. A server that says nothing until it has the reply got the request {} times more, and \
                 dropped the copies; one that acknowledges it after half a millisecond: {}.",
                without.seen.retransmissions, with.seen.retransmissions,
            )
        },
    },
    Lesson {
        name: "pool",
        switch: "ServerBuilder::pool(1)",
        setup: || Setup { pool: 8, ..Setup::usual() },
        off: |setup| setup.pool = 1,
        act: |stage| {
            let mut tally = Tally::default();
            std::thread::scope(|scope| {
                let calls = [(); 8].map(|()| scope.spawn(|| stage.client().think(50)));
                // A thread that panicked has said so.
                calls.into_iter().filter_map(|call| call.join().ok()).for_each(|done| tally.note(done.map(|()| true)));
            });
            Ok(tally)
        },
        tell: |Comparison { without, with }| {
            format!(
                "Eight callers at once, each with a call that waits for 50 ms. A server with one thread took {} ms for them, one \
                 with eight threads {} ms.",
                without.took.as_millis(),
                with.took.as_millis(),
            )
        },
    },
    Lesson {
        name: "byte-order",
        switch: "ClientConfig::byte_order = Native, and a server on a machine of the other kind",
        setup: Setup::usual,
        off: |setup| {
            setup.client.byte_order = ByteOrder::Native;
            setup.byte_order = ByteOrder::Foreign;
        },
        act: |stage| write_in_turn(stage, 10),
        tell: |Comparison { without, with }| {
            format!(
                "The client writes numbers as its processor has them in memory, and the server reads them as a processor of the other kind \
                 would: {} of {} numbers arrived as others. With one order on the wire: {}.",
                without.tally.wrong, without.tally.calls, with.tally.wrong,
            )
        },
    },
    Lesson {
        name: "overflow",
        switch: "DriverConfig::socket_buffer = 4 KiB at the server",
        setup: || {
            let mut setup = Setup::usual();
            // Each call is a datagram.
            setup.drivers().into_iter().for_each(|driver| driver.transport.datagram_max_loopback = 1_200);
            setup
        },
        off: |setup| setup.server.socket_buffer = 4 << 10,
        act: |stage| {
            std::thread::scope(|scope| {
                let stall = scope.spawn(|| stage.client().stall(200));
                let calls = [(); 40].map(|()| scope.spawn(|| echo(stage, 900)));
                let mut tally = Tally::default();
                // A thread that panicked has said so.
                calls.into_iter().filter_map(|call| call.join().ok()).for_each(|done| tally.note(done));
                stall.join().into_iter().for_each(|done| tally.note(done.map(|()| true)));
                // The kernel tells of drops with datagrams that come later.
                (0..20).for_each(|_| tally.note(echo(stage, 1)));
                Ok(tally)
            })
        },
        tell: |Comparison { without, with }| {
            format!(
                "Nothing is wrong with this network, but for 200 ms the server does not read its socket, while 40 callers send 900 bytes \
                 each. With room for some 4 KiB the kernel dropped {} datagrams; {} fragments were sent again, \
                 and {} of {} calls were answered. With the usual buffer: {} dropped.",
                without.seen.overflows,
                without.seen.retransmissions,
                without.tally.answered,
                without.tally.calls,
                with.seen.overflows,
            )
        },
    },
];

/// Both ends send over such a network.
fn faulty(impairments: Impairments) -> Setup {
    let mut setup = Setup::usual();
    setup.client.driver.impairments = impairments;
    setup.server.impairments = Impairments { seed: impairments.seed + 1_000, ..impairments };
    setup
}

/// Writes numbers on the blackboard, one after the other.
fn write_in_turn(stage: &Stage, calls: u64) -> Result<Tally, LessonError> {
    let mut tally = Tally::default();
    for number in 1..=calls {
        tally.note(stage.client().write(number).map(|()| stage.last() == number));
    }
    Ok(tally)
}

/// Has bytes echoed, one call after the other. What breaks the session costs one call.
fn echo_in_turn(stage: &Stage) -> Result<Tally, LessonError> {
    let mut tally = Tally::default();
    let mut client = stage.client().clone();
    for call in 0..300 {
        let bytes = pattern(1_000, call);
        let answer = client.echo(Bytes::from(bytes.clone()));
        if answer.is_err() {
            client = stage.another(call)?;
        }
        tally.note(answer.map(|answer| *answer == *bytes));
    }
    Ok(tally)
}

fn echo(stage: &Stage, size: usize) -> Result<bool, CallError> {
    let bytes = pattern(size, 0);
    Ok(*stage.client().echo(Bytes::from(bytes.clone()))? == *bytes)
}

fn pattern(size: usize, call: u64) -> Vec<u8> {
    (0..size as u64).map(|place| (place.wrapping_mul(7) + call) as u8).collect()
}

/// Of both ends.
fn datagrams_per_call(run: &Run) -> f64 {
    run.seen.datagrams as f64 / run.tally.calls as f64
}

fn told(error: &Option<CallError>) -> String {
    error.as_ref().map_or_else(|| "nothing".to_owned(), CallError::to_string)
}
