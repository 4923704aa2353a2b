//! What the kernel does at each step of a page's life.

use super::*;

#[test]
fn the_first_load_faults_as_missing_and_a_later_store_as_write_protected() {
    let Some(region) = region(4) else { return };
    scene(&region, |program| {
        let load = program.spawn(|| region.load::<u8>(PAGE_BYTES as u64 + 5));
        let fault = next_fault(&region);
        assert_eq!((fault.page, fault.kind, fault.write), (Page(1), FaultKind::Missing, false));
        region.fill(Page(1), &page_of_byte(7)).unwrap();
        region.map(Page(1), Access::Read).unwrap();
        assert_eq!(load.join().unwrap(), 7);

        let store = program.spawn(|| region.store(PAGE_BYTES as u64 + 5, 8u8));
        let fault = next_fault(&region);
        assert_eq!((fault.page, fault.kind, fault.write), (Page(1), FaultKind::WriteProtect, true));
        region.upgrade(Page(1)).unwrap();
        store.join().unwrap();
        assert_eq!(region.load::<u8>(PAGE_BYTES as u64 + 5), 8);
    });
}

#[test]
fn the_first_store_faults_as_missing_and_needs_no_second_fault() {
    let Some(region) = region(1) else { return };
    scene(&region, |program| {
        let store = program.spawn(|| region.store(8, 3u64));
        let fault = next_fault(&region);
        assert_eq!((fault.kind, fault.write), (FaultKind::Missing, true));
        region.make_present(Page(0)).unwrap();
        region.map(Page(0), Access::Write).unwrap();
        store.join().unwrap();
        assert!(no_fault_waits(&region));
        assert_eq!((region.load::<u64>(8), region.load::<u64>(0)), (3, 0));
    });
}

#[test]
fn a_fault_names_the_address_and_the_thread() {
    let Some(region) = region(2) else { return };
    scene(&region, |program| {
        let load = program.spawn(|| {
            let thread = nix::unistd::gettid();
            let _: u16 = region.load(PAGE_BYTES as u64 + 246);
            thread
        });
        let fault = next_fault(&region);
        region.make_present(Page(1)).unwrap();
        region.map(Page(1), Access::Read).unwrap();
        let thread = load.join().unwrap();
        assert_eq!(fault.address, region.base() + PAGE_BYTES + 246);
        assert_eq!(fault.thread, Some(thread.as_raw() as u32));
    });
}

#[test]
fn a_touch_after_a_discard_faults_as_minor_and_tells_loads_from_stores() {
    let Some(region) = region(1) else { return };
    region.fill(Page(0), &page_of_byte(1)).unwrap();
    for access in [Access::Read, Access::Write] {
        let touch = || match access {
            Access::Read => assert_eq!(region.load::<u8>(0), 1),
            Access::Write => region.store(0, 1u8),
        };
        region.map(Page(0), Access::Write).unwrap();
        touch();
        region.discard(Page(0)).unwrap();
        assert_eq!(region.mapped(Page(0)), Ok(None));
        scene(&region, |program| {
            let touch = program.spawn(touch);
            let fault = next_fault(&region);
            assert_eq!((fault.kind, fault.write), (FaultKind::Minor, access == Access::Write));
            region.map(Page(0), access).unwrap();
            touch.join().unwrap();
        });
        region.discard(Page(0)).unwrap();
    }
}

#[test]
fn a_downgrade_leaves_the_last_store_in_the_frame_and_makes_the_next_one_fault() {
    let Some(region) = region(1) else { return };
    region.make_present(Page(0)).unwrap();
    region.map(Page(0), Access::Write).unwrap();
    region.store(16, 0x1234_5678u32);
    region.downgrade(Page(0)).unwrap();
    let word = region.with_frame(Page(0), |frame| frame[16..20].to_vec()).unwrap();
    assert_eq!(word, 0x1234_5678u32.to_ne_bytes());
    assert_eq!(region.load::<u32>(16), 0x1234_5678);
    scene(&region, |program| {
        let store = program.spawn(|| region.store(16, 1u32));
        assert_eq!(next_fault(&region).kind, FaultKind::WriteProtect);
        region.upgrade(Page(0)).unwrap();
        store.join().unwrap();
    });
}

#[test]
fn write_protection_does_not_outlive_a_discard() {
    let Some(region) = region(1) else { return };
    region.make_present(Page(0)).unwrap();
    region.map(Page(0), Access::Write).unwrap();
    region.store(0, 1u8);
    region.downgrade(Page(0)).unwrap();
    region.discard(Page(0)).unwrap();
    region.map(Page(0), Access::Write).unwrap();
    region.store(0, 2u8);
    assert_eq!(region.load::<u8>(0), 2);
    assert!(no_fault_waits(&region));
}

#[test]
fn a_discarded_frame_takes_new_bytes_and_shows_them() {
    let Some(region) = region(1) else { return };
    region.fill(Page(0), &page_of_byte(1)).unwrap();
    region.map(Page(0), Access::Read).unwrap();
    assert_eq!(region.load::<u8>(9), 1);
    region.discard(Page(0)).unwrap();
    region.fill(Page(0), &page_of_byte(2)).unwrap();
    region.map(Page(0), Access::Read).unwrap();
    assert_eq!(region.load::<u8>(9), 2);
}

#[test]
fn many_pages_are_mapped_at_once() {
    let Some(region) = region(1000) else { return };
    let range = PageRange::new(Page(100), 700);
    region.make_present(range).unwrap();
    region.map(range, Access::Write).unwrap();
    for page in range.iter() {
        region.store(page.0 * PAGE_BYTES as u64, page.0);
    }
    assert!(no_fault_waits(&region));
    assert_eq!(region.frames(), 700);
    assert_eq!(region.mapped(Page(99)), Ok(None));
    assert_eq!(region.mapped(Page(800)), Ok(None));
    region.discard(range).unwrap();
    assert!(range.iter().all(|page| region.mapped(page) == Ok(None)));
}

#[test]
fn read_from_the_kernel_into_a_page_that_is_not_here_is_served_or_fails_cleanly() {
    let full = region(1);
    let user_mode = match open::open_for_user_mode() {
        Ok(opened) => Some(Region::over(opened, PAGE_BYTES as u64, next_base()).unwrap()),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    };
    for region in full.iter().chain(&user_mode) {
        if region.opened_by().serves_kernel_faults() {
            assert_eq!(read_into(region), Ok(3));
            assert_eq!(region.load::<u8>(1), b'b');
        } else {
            eprintln!("faults of the kernel are not served here: read(2) must fail");
            assert_eq!(read_into(region), Err(nix::errno::Errno::EFAULT));
        }
    }
}

/// Reads three bytes from a pipe straight into page 0 by read(2), and serves the fault if one comes.
fn read_into(region: &Region) -> nix::Result<usize> {
    use std::os::fd::AsRawFd;
    let (reader, writer) = nix::unistd::pipe().unwrap();
    nix::unistd::write(&writer, b"abc").unwrap();
    scene(region, |program| {
        let read = program.spawn(|| {
            // SAFETY: three bytes at the start of the program view, which outlives the scope; nobody borrows them.
            let answer = unsafe { libc::read(reader.as_raw_fd(), region.base() as *mut libc::c_void, 3) };
            nix::errno::Errno::result(answer).map(|count| count as usize)
        });
        if region.opened_by().serves_kernel_faults() {
            let fault = next_fault(region);
            assert!(fault.write);
            region.make_present(fault.page).unwrap();
            region.map(fault.page, Access::Write).unwrap();
        }
        read.join().unwrap()
    })
}
