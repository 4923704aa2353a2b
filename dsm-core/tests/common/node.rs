//! The nodes of the tests' jobs: one program, many parts to play. The first argument names the part.

use std::error::Error;
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use dsm_core::job::Job;
use dsm_core::launch::rendezvous::RendezvousClient;
use dsm_core::mem::{BASE_DEFAULT, Region};
use dsm_core::{Dsm, PAGE_BYTES, Placement, SharedArray};
use rpc::wire::{Integrity, Kind, Prefix, Reader, Reset, ResetReason, SessionId, VERSION};
use rpc::{Client, ClientConfig};

const WORDS_PER_PAGE: usize = PAGE_BYTES / 8;

type Part = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| args.get(index).and_then(|text| text.parse().ok()).unwrap_or(1);
    let part = args.first().map(String::as_str).unwrap_or_default();
    let result = match part {
        "shared" => shared(number(1), number(2), number(3)),
        "locked" => locked(number(1), number(2)),
        "atomic" => atomic(number(1), number(2)),
        "relay" => relay(number(1)),
        "same-page" => same_page(number(1), number(2)),
        "placements" => placements(),
        "far-apart" => far_apart(number(1)),
        "collectives" => collectives(),
        "wait" => wait(args.get(1).map(String::as_str).unwrap_or_default()),
        "mismatch" => mismatch(),
        "deserter" => deserter(),
        "too-big" => too_big(),
        "wild" => wild(),
        "twice" => twice(),
        "nap" => nap(),
        "besieged" => besieged(args.get(1).map(String::as_str).unwrap_or_default()),
        "taken" => taken(),
        "other-version" => other_version(),
        "crowd" => crowd(),
        _ => Err(format!("no such part: {part:?}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A small linear congruential generator (Knuth's MMIX constants).
fn random(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) as usize % below
}

fn check(right: bool, what: impl Fn() -> String) -> Part {
    if right { Ok(()) } else { Err(what().into()) }
}

/// Runs `work` on that many threads and gives the first error.
fn on_threads(threads: usize, work: impl Fn(usize) -> Result<(), String> + Sync) -> Part {
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let work = &work;
                scope.spawn(move || work(thread))
            })
            .collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_string())?)
    })?;
    Ok(())
}

/// Every thread of every node has a word in every page, which only it writes, and looks at all the others: what it sees of
/// one word must never go back.
fn shared(pages: usize, rounds: usize, threads: usize) -> Part {
    let dsm = Dsm::join()?;
    let writers = dsm.size() * threads;
    check(writers <= WORDS_PER_PAGE, || "too many threads for a page".to_string())?;
    let words = dsm.alloc::<u64>(pages * WORDS_PER_PAGE, Placement::Cyclic { block_bytes: PAGE_BYTES })?;
    let rank = dsm.rank();
    on_threads(threads, |thread| {
        let me = rank * threads + thread;
        let mut state = me as u64 * 7919 + 1;
        let mut seen = vec![0; pages * writers];
        for round in 1..=rounds {
            let page = random(&mut state, pages);
            let mine = page * WORDS_PER_PAGE + me;
            words.set(mine, words.get(mine) + 1);
            for _ in 0..4 {
                let (page, writer) = (random(&mut state, pages), random(&mut state, writers));
                let value = words.get(page * WORDS_PER_PAGE + writer);
                let last = &mut seen[page * writers + writer];
                if value < *last {
                    return Err(format!("round {round}: page {page} word {writer} went from {last} back to {value}"));
                }
                *last = value;
            }
        }
        Ok(())
    })?;
    dsm.barrier();
    for writer in 0..writers {
        let total: u64 = (0..pages).map(|page| words.get(page * WORDS_PER_PAGE + writer)).sum();
        check(total == rounds as u64, || format!("writer {writer} stored {rounds} times, {total} are left"))?;
    }
    Ok(dsm.finalize()?)
}

/// Increments under a lock are never lost.
fn locked(rounds: usize, threads: usize) -> Part {
    let dsm = Dsm::join()?;
    let counters = dsm.alloc::<u64>(2, Placement::Block)?;
    on_threads(threads, |thread| {
        for round in 0..rounds {
            let which = (round + thread) % 2;
            let _held = dsm.lock(which as u64 + 10);
            counters.set(which, counters.get(which) + 1);
        }
        Ok(())
    })?;
    dsm.barrier();
    let total = counters.get(0) + counters.get(1);
    let expected = (rounds * threads * dsm.size()) as u64;
    check(total == expected, || format!("{total} increments of {expected} are left"))?;
    Ok(dsm.finalize()?)
}

/// Atomic operations are performed once each, from any node and thread, also while others use the page with plain accesses.
fn atomic(rounds: usize, threads: usize) -> Part {
    let dsm = Dsm::join()?;
    let words = dsm.alloc::<u64>(3, Placement::Node(dsm.size() - 1))?;
    on_threads(threads, |_| {
        for _ in 0..rounds {
            words.fetch_add(0, 1);
            let mut expect = words.get(1);
            loop {
                match words.compare_swap(1, expect, expect + 1) {
                    old if old == expect => break,
                    old => expect = old,
                }
            }
        }
        Ok(())
    })?;
    dsm.barrier();
    let expected = (rounds * threads * dsm.size()) as u64;
    let (added, swapped) = (words.get(0), words.get(1));
    check(added == expected && swapped == expected, || format!("{added} and {swapped} instead of {expected}"))?;
    Ok(dsm.finalize()?)
}

/// A value goes round the nodes with plain loads and stores: each waits for its flag, and finds the data that were stored before it.
fn relay(laps: usize) -> Part {
    let dsm = Dsm::join()?;
    let flags = dsm.alloc::<u64>(dsm.size() * WORDS_PER_PAGE, Placement::Block)?;
    let data = dsm.alloc::<u64>(1, Placement::Node(0))?;
    let (me, next) = (dsm.rank(), (dsm.rank() + 1) % dsm.size());
    for lap in 1..=laps as u64 {
        let first = me == 0;
        let before = if first { lap - 1 } else { lap };
        while flags.get(me * WORDS_PER_PAGE) < before {
            thread::yield_now();
        }
        let expected = (lap - 1) * dsm.size() as u64 + me as u64;
        check(data.get(0) == expected, || format!("lap {lap}: {} instead of {expected}", data.get(0)))?;
        data.set(0, expected + 1);
        flags.set(next * WORDS_PER_PAGE, lap);
    }
    dsm.barrier();
    Ok(dsm.finalize()?)
}

/// Many threads of each node fault on one page at the same moment.
fn same_page(pages: usize, threads: usize) -> Part {
    let dsm = Dsm::join()?;
    let words = dsm.alloc::<u64>(pages * WORDS_PER_PAGE, Placement::Block)?;
    if dsm.rank() == 0 {
        (0..pages).for_each(|page| words.set(page * WORDS_PER_PAGE, page as u64 + 1));
    }
    dsm.barrier();
    for page in 0..pages {
        on_threads(threads, |thread| {
            let value = words.get(page * WORDS_PER_PAGE);
            if value != page as u64 + 1 {
                return Err(format!("page {page} shows {value}"));
            }
            words.set(page * WORDS_PER_PAGE + 1 + dsm.rank() * threads + thread, 1);
            Ok(())
        })?;
    }
    dsm.barrier();
    for page in 0..pages {
        let mut row = [0; WORDS_PER_PAGE];
        words.read(page * WORDS_PER_PAGE, &mut row);
        let stores: u64 = row[1..].iter().sum();
        check(stores == (dsm.size() * threads) as u64, || format!("page {page} kept {stores} stores"))?;
    }
    Ok(dsm.finalize()?)
}

/// Arrays of every element type and placement keep what was stored, and sit at one address.
fn placements() -> Part {
    let dsm = Dsm::join()?;
    for placement in [Placement::Block, Placement::Cyclic { block_bytes: 5000 }, Placement::Node(dsm.size() - 1)] {
        fill_and_look(&dsm, dsm.alloc::<u8>(10_000, placement)?, |index| index as u8)?;
        fill_and_look(&dsm, dsm.alloc::<i32>(10_000, placement)?, |index| -(index as i32))?;
        fill_and_look(&dsm, dsm.alloc::<f64>(10_000, placement)?, |index| index as f64 / 3.0)?;
    }
    for refused in [Placement::Cyclic { block_bytes: 0 }, Placement::Node(dsm.size())] {
        check(dsm.alloc::<u8>(1, refused).is_err(), || format!("{refused:?} was taken"))?;
    }
    Ok(dsm.finalize()?)
}

fn fill_and_look<T: dsm_core::Element + PartialEq>(dsm: &Dsm, array: SharedArray<'_, T>, of: fn(usize) -> T) -> Part {
    for index in (0..array.len()).filter(|index| index % dsm.size() == dsm.rank()) {
        array.set(index, of(index));
    }
    dsm.barrier();
    let mut copy = vec![T::default(); array.len()];
    array.read(0, &mut copy);
    let wrong = copy.iter().enumerate().find(|(index, value)| **value != of(*index));
    check(wrong.is_none(), || format!("{wrong:?} at address {:#x}", array.addr(0)))?;
    dsm.barrier();
    Ok(())
}

/// Every node stores to that many pages of an array that is as large as the region, far from each other, and loads what all have stored.
fn far_apart(pages: usize) -> Part {
    let dsm = Dsm::join()?;
    let region_bytes = Job::from_env()?.unwrap_or_else(Job::alone).region_bytes;
    let words = dsm.alloc::<u64>(region_bytes as usize / 8, Placement::Block)?;
    let touched = pages * dsm.size();
    let place = |number: usize| number * (words.len() / touched);
    let before = status_bytes("RssAnon:")?;
    (0..touched)
        .filter(|number| number % dsm.size() == dsm.rank())
        .for_each(|number| words.set(place(number), number as u64 + 1));
    dsm.barrier();
    let wrong = (0..touched).find(|&number| words.get(place(number)) != number as u64 + 1);
    check(wrong.is_none(), || format!("word {wrong:?} is wrong"))?;
    let grown = status_bytes("RssAnon:")?.saturating_sub(before);
    let (frames, page_tables) = (memory_file_pages()?, status_bytes("VmPTE:")?);
    println!("{touched} pages touched: {frames} frames; beside them {} bytes a page", grown / touched as u64);
    println!("the kernel's page tables have {} bytes a page", page_tables / touched as u64);
    check(frames == touched as u64, || "there is a frame for each page that was touched, and no other".to_string())?;
    check(grown / touched as u64 <= 4 * PAGE_BYTES as u64, || "tables grow by what is touched".to_string())?;
    dsm.barrier();
    Ok(dsm.finalize()?)
}

/// A size that the kernel tells of this process.
fn status_bytes(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// How many pages the region's memory file has.
fn memory_file_pages() -> Result<u64, Box<dyn Error>> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        let is_region = std::fs::read_link(&path).is_ok_and(|target| target.to_string_lossy().contains("dsm-region"));
        if is_region {
            return Ok(std::fs::metadata(&path)?.blocks() * 512 / PAGE_BYTES as u64);
        }
    }
    Err("no memory file".into())
}

/// Many barriers and allocations in a row.
fn collectives() -> Part {
    let dsm = Dsm::join()?;
    let (rounds, before) = (200, dsm.stats().barriers);
    for round in 0..rounds {
        let array = dsm.alloc::<u64>(dsm.size(), Placement::Node(round as usize % dsm.size()))?;
        array.set(dsm.rank(), round);
        dsm.barrier();
        let all = (0..dsm.size()).all(|index| array.get(index) == round);
        check(all, || format!("round {round}: a store from before the barrier is not seen"))?;
    }
    let passed = dsm.stats().barriers - before;
    check(passed == 2 * rounds, || format!("{passed} barriers in {rounds} rounds of an allocation and a barrier"))?;
    Ok(dsm.finalize()?)
}

/// Says that it is ready, and then waits in a way that depends on node 1.
fn wait(how: &str) -> Part {
    let dsm = Dsm::join()?;
    let words = dsm.alloc::<u64>(1 << 20, Placement::Node(1 % dsm.size()))?;
    if dsm.rank() == 1 {
        dsm.acquire(1);
    }
    dsm.barrier();
    println!("ready pid={}", std::process::id());
    loop {
        match (how, dsm.rank()) {
            ("fault", rank) if rank != 1 => {
                (0..words.len()).step_by(WORDS_PER_PAGE).for_each(|index| words.set(index, words.get(index) + 1));
            }
            ("lock", rank) if rank != 1 => drop(dsm.lock(1)),
            ("barrier", rank) if rank != 1 => dsm.barrier(),
            ("finalize", rank) if rank != 1 => return Ok(dsm.finalize()?),
            ("compute", _) => drop(std::hint::black_box((0..1_000_000u64).fold(0, u64::wrapping_add))),
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn mismatch() -> Part {
    let dsm = Dsm::join()?;
    if dsm.rank() == 0 {
        dsm.barrier();
    } else {
        dsm.alloc::<u64>(1, Placement::Block)?;
    }
    Ok(dsm.finalize()?)
}

fn deserter() -> Part {
    let dsm = Dsm::join()?;
    if dsm.rank() == 0 {
        return Ok(());
    }
    Ok(dsm.finalize()?)
}

fn too_big() -> Part {
    let dsm = Dsm::join()?;
    let error = dsm.alloc::<u64>(usize::MAX / 16, Placement::Block).err().ok_or("it was taken")?;
    println!("refused: {error}");
    let small = dsm.alloc::<u64>(1, Placement::Block)?;
    small.fetch_add(0, 1);
    dsm.barrier();
    check(small.get(0) == dsm.size() as u64, || "the job did not go on".to_string())?;
    Ok(dsm.finalize()?)
}

fn wild() -> Part {
    let dsm = Dsm::join()?;
    let small = dsm.alloc::<u64>(1, Placement::Block)?;
    let beyond = small.addr(0) + PAGE_BYTES;
    check(dsm.fetch_add_at(beyond, 1).is_err(), || "an atomic outside every allocation was taken".to_string())?;
    check(dsm.fetch_add_at(small.addr(0) + 4, 1).is_err(), || "a misaligned word was taken".to_string())?;
    check(dsm.release(5).is_err(), || "a lock that is not held was released".to_string())?;
    Ok(dsm.finalize()?)
}

fn twice() -> Part {
    let dsm = Dsm::join()?;
    let error = Dsm::join().err().ok_or("the second join was taken")?;
    println!("refused: {error}");
    Ok(dsm.finalize()?)
}

/// Two threads of a node at the barrier at once: one is refused, and nothing hangs.
fn crowd() -> Part {
    let dsm = Dsm::join()?;
    let refused = dsm.alloc::<u64>(1, Placement::Block)?;
    if dsm.rank() == 0 {
        // Neither gets through before node 1 comes, and node 1 waits for the refusal.
        on_threads(2, |_| {
            if dsm.try_barrier().is_err() {
                refused.fetch_add(0, 1);
            }
            Ok(())
        })?;
    } else {
        while refused.get(0) == 0 {
            thread::yield_now();
        }
        dsm.barrier();
    }
    check(refused.get(0) == 1, || format!("{} of 2 threads were refused", refused.get(0)))?;
    Ok(dsm.finalize()?)
}

/// Is stopped for a long time, and finds its memory as it was.
fn nap() -> Part {
    let dsm = Dsm::join()?;
    let words = dsm.alloc::<u64>(2 * WORDS_PER_PAGE, Placement::Block)?;
    words.set(0, 7);
    let mut last = Instant::now();
    println!("ready pid={}", std::process::id());
    while last.elapsed() < Duration::from_secs(3) {
        last = Instant::now();
        thread::sleep(Duration::from_millis(1));
    }
    words.set(WORDS_PER_PAGE, words.get(0) + 1);
    check(words.get(WORDS_PER_PAGE) == 8, || "memory is not as it was".to_string())?;
    Ok(dsm.finalize()?)
}

/// Works on shared pages until node 0 finds the file `end`, and prints the most memory that any node has used.
fn besieged(end: &str) -> Part {
    let dsm = Dsm::join()?;
    let counters = dsm.alloc::<u64>(2, Placement::Node(0))?;
    println!("ready pid={}", std::process::id());
    let mut rounds = 0;
    while counters.get(1) == 0 {
        let _held = dsm.lock(1);
        counters.set(0, counters.get(0) + 1);
        rounds += 1;
        if dsm.rank() == 0 && std::path::Path::new(end).exists() {
            counters.set(1, 1);
        }
    }
    let all = dsm.alloc::<u64>(1, Placement::Block)?;
    all.fetch_add(0, rounds);
    dsm.barrier();
    check(all.get(0) == counters.get(0), || format!("{} rounds, {} counted", all.get(0), counters.get(0)))?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    println!("rounds {rounds} {peak}");
    Ok(dsm.finalize()?)
}

/// Something of the program's own lies where the region should.
fn taken() -> Part {
    let _in_the_way = Region::new(PAGE_BYTES as u64, BASE_DEFAULT)?;
    Ok(Dsm::join()?.finalize()?)
}

/// Node 1 is of a program that speaks the next version of the protocol, and refuses every hello.
fn other_version() -> Part {
    let job = Job::from_env()?.ok_or("no job")?;
    if job.rank == 0 {
        let dsm = Dsm::join()?;
        dsm.barrier();
        return Ok(dsm.finalize()?);
    }
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let launcher =
        RendezvousClient::new(Client::connect(job.launcher.ok_or("no launcher")?, ClientConfig::new(job.security()?))?);
    launcher.join(1, socket.local_addr()?, std::process::id())?;
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        let hello = Prefix::read(&mut Reader::new(&buffer[..length]))?;
        let mut refusal = Vec::new();
        Prefix { version: VERSION + 1, ..Prefix::new(Kind::Reset, hello.from, SessionId::UNKNOWN) }.write(&mut refusal);
        Reset { reason: ResetReason::Version, boot: 1 }.write(&mut refusal);
        Integrity::Crc32.seal(&mut refusal);
        socket.send_to(&refusal, from)?;
    }
}
