//! Where an implementation that knows only the manual page goes wrong.

use super::*;
use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::os::fd::AsRawFd;

#[test]
fn mapping_goes_on_behind_a_page_that_was_mapped_before() {
    let Some(region) = region(8) else { return };
    let all = PageRange::new(Page(0), 8);
    region.make_present(all).unwrap();
    region.map(Page(0), Access::Read).unwrap();
    region.map(Page(3), Access::Write).unwrap();
    region.map(Page(4), Access::Read).unwrap();
    region.map(all, Access::Read).unwrap();
    let expected = |page| if page == Page(3) { Access::Write } else { Access::Read };
    assert!(all.iter().all(|page| region.mapped(page) == Ok(Some(expected(page)))));
    all.iter().for_each(|page| assert_eq!(region.load::<u8>(page.0 * PAGE_BYTES as u64), 0));
    assert!(no_fault_waits(&region));
}

#[test]
fn mapping_for_writing_widens_a_page_that_was_mapped_for_reading() {
    let Some(region) = region(3) else { return };
    let all = PageRange::new(Page(0), 3);
    region.make_present(all).unwrap();
    region.map(Page(1), Access::Read).unwrap();
    region.map(all, Access::Write).unwrap();
    all.iter().for_each(|page| region.store(page.0 * PAGE_BYTES as u64, 5u8));
    assert!(no_fault_waits(&region));
}

#[test]
fn a_thread_whose_page_another_event_mapped_is_woken_by_mapping_it_again() {
    let Some(region) = region(1) else { return };
    scene(&region, |program| {
        let load = program.spawn(|| region.load::<u8>(0));
        next_fault(&region);
        region.fill(Page(0), &page_of_byte(4)).unwrap();
        let start = region.base() as *mut libc::c_void;
        assert_eq!(region.uffd.r#continue(start, PAGE_BYTES, false).unwrap(), PAGE_BYTES as u64);
        assert!(!load.is_finished());
        region.map(Page(0), Access::Read).unwrap();
        assert_eq!(load.join().unwrap(), 4);
        assert_eq!(region.mapped(Page(0)), Ok(Some(Access::Read)));
    });
}

#[test]
fn a_page_mapped_for_reading_never_lets_a_store_slip_through() {
    let Some(region) = region(64) else { return };
    let all = PageRange::new(Page(0), 64);
    region.make_present(all).unwrap();
    scene(&region, |program| {
        let store = program.spawn(|| all.iter().for_each(|page| region.store(page.0 * PAGE_BYTES as u64, 9u8)));
        for _ in all.iter() {
            let fault = next_fault(&region);
            region.map(fault.page, Access::Read).unwrap();
            assert_eq!(region.with_frame(fault.page, |frame| frame[0]), Ok(0));
            let again = next_fault(&region);
            assert_eq!((again.page, again.kind, again.write), (fault.page, FaultKind::WriteProtect, true));
            assert_eq!(region.with_frame(fault.page, |frame| frame[0]), Ok(0));
            region.upgrade(fault.page).unwrap();
        }
        store.join().unwrap();
    });
}

#[test]
fn a_signal_repeats_the_fault_and_a_second_answer_harms_nobody() {
    let Some(region) = region(1) else { return };
    let nothing = SigAction::new(SigHandler::Handler(on_signal), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing at all, and nothing else here uses this signal.
    unsafe { sigaction(Signal::SIGUSR1, &nothing) }.unwrap();
    scene(&region, |program| {
        let load = program.spawn(|| region.load::<u8>(0));
        let first = next_fault(&region);
        let thread = first.thread.unwrap();
        // SAFETY: a signal with a handler to a thread of this process.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, libc::SIGUSR1) };
        assert_eq!(sent, 0);
        assert_eq!(next_fault(&region), first);
        region.make_present(Page(0)).unwrap();
        for _ in 0..2 {
            region.map(Page(0), Access::Read).unwrap();
        }
        load.join().unwrap();
        region.wake(Page(0)).unwrap();
        for _ in 0..2 {
            region.upgrade(Page(0)).unwrap();
        }
    });

    extern "C" fn on_signal(_: i32) {}
}

#[test]
fn a_frame_that_came_with_its_neighbours_is_filled_all_the_same() {
    let Some(region) = region(3) else { return };
    // What writing to page 0 does where memory files are kept in huge pages.
    nix::sys::uio::pwrite(&region.file, &vec![0; 3 * PAGE_BYTES], 0).unwrap();
    region.install(Page(0), &page_of_byte(1), Access::Read).unwrap();
    region.fill(Page(1), &page_of_byte(2)).unwrap();
    region.make_present(Page(2)).unwrap();
    let all = PageRange::new(Page(0), 3);
    region.map(all, Access::Read).unwrap();
    let first_bytes: Vec<u8> = all.iter().map(|page| region.load(page.0 * PAGE_BYTES as u64)).collect();
    assert_eq!((first_bytes, region.frames()), (vec![1, 2, 0], 3));
}

#[test]
fn two_threads_that_wait_for_one_page_are_woken_by_one_answer() {
    let Some(region) = region(1) else { return };
    scene(&region, |program| {
        let first = program.spawn(|| region.load::<u8>(0));
        let second = program.spawn(|| region.load::<u8>(PAGE_BYTES as u64 - 1));
        let faults = [next_fault(&region), next_fault(&region)];
        assert_ne!(faults[0].thread, faults[1].thread);
        region.fill(Page(0), &page_of_byte(6)).unwrap();
        region.map(Page(0), Access::Read).unwrap();
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (6, 6));
    });
}

#[test]
fn a_forked_child_does_not_see_the_region() {
    let Some(region) = region(1) else { return };
    region.make_present(Page(0)).unwrap();
    region.map(Page(0), Access::Write).unwrap();
    let addresses = [region.base(), region.system.as_ptr() as usize];
    for address in addresses {
        // SAFETY: the child calls only async-signal-safe functions before it ends.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                // SAFETY: a read of memory that should not be mapped ends the child, which is what is tested; if it is mapped,
                // it is readable.
                unsafe {
                    libc::signal(libc::SIGSEGV, libc::SIG_DFL);
                    std::ptr::read_volatile(address as *const u8);
                    libc::_exit(0)
                }
            }
            ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
                WaitStatus::Signaled(_, signal, _) => assert_eq!(signal, Signal::SIGSEGV),
                other => {
                    let _ = kill(child, Signal::SIGKILL);
                    panic!("the child saw the region: {other:?}");
                }
            },
        }
    }
}

#[test]
fn a_retired_region_is_closed_to_the_program_and_open_to_the_runtime() {
    let Some(region) = region(2) else { return };
    region.fill(Page(0), &page_of_byte(7)).unwrap();
    region.map(Page(0), Access::Read).unwrap();
    let (_reader, writer) = nix::unistd::pipe().unwrap();
    // The kernel reads for us what a load would touch, and tells where a load would be the end.
    let touch = |page: Page| {
        let address = region.address_of(page).unwrap() as *const libc::c_void;
        // SAFETY: the kernel checks the address; the call reads a byte there and changes no memory.
        Errno::result(unsafe { libc::write(writer.as_raw_fd(), address, 1) })
    };
    assert_eq!(touch(Page(0)), Ok(1));
    region.retire().unwrap();
    assert_eq!([touch(Page(0)), touch(Page(1))], [Err(Errno::EFAULT); 2]);
    assert!(no_fault_waits(&region));
    assert_eq!(region.with_frame(Page(0), |frame| frame[9]), Ok(7));
    region.retire().unwrap();
}

#[test]
fn stores_survive_pages_that_come_and_go_under_them() {
    const PAGES: u64 = 4;
    const THREADS: u64 = 3;
    const ROUNDS: u64 = 300;
    let Some(region) = region(PAGES) else { return };
    let own_word = |thread: u64, round: u64| round % PAGES * PAGE_BYTES as u64 + thread * 8;
    scene(&region, |program| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let region = &region;
                program.spawn(move || {
                    for round in 0..ROUNDS {
                        let at = own_word(thread, round);
                        let before: u64 = region.load(at);
                        assert_eq!(before, if round < PAGES { 0 } else { round - PAGES + 1 });
                        region.store(at, round + 1);
                        assert_eq!(region.load::<u64>(at), round + 1);
                    }
                })
            })
            .collect();
        let (mut reader, mut faults) = (FaultReader::new(8), Vec::new());
        let mut turn = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            faults.clear();
            reader.read(&region, &mut faults).unwrap();
            for fault in &faults {
                region.make_present(fault.page).unwrap();
                region.map(fault.page, if fault.write { Access::Write } else { Access::Read }).unwrap();
            }
            turn += 1;
            let page = Page(turn % PAGES);
            if turn % 7 == 0 {
                region.discard(page).unwrap();
            } else {
                region.downgrade(page).unwrap();
            }
            std::thread::yield_now();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
