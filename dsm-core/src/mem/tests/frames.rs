//! The runtime's own access to a page's bytes, and what it is refused.

use super::*;

#[test]
fn a_fresh_frame_and_a_warm_one_both_take_bytes() {
    let Some(region) = region(2) else { return };
    let mut bytes = page_of_byte(0);
    for value in [3, 4] {
        region.fill(Page(1), &page_of_byte(value)).unwrap();
        region.read_frame(Page(1), &mut bytes).unwrap();
        assert_eq!(bytes, page_of_byte(value));
    }
    assert_eq!((region.frames(), region.has_frame(Page(0)), region.has_frame(Page(1))), (1, Ok(false), Ok(true)));
}

#[test]
fn bytes_are_installed_in_one_step_whether_the_frame_is_fresh_or_warm() {
    let Some(region) = region(2) else { return };
    for (page, access) in [(Page(0), Access::Read), (Page(1), Access::Write)] {
        for value in [1, 2] {
            scene(&region, |program| {
                let at = page.0 * PAGE_BYTES as u64 + 100;
                let region = &region;
                let load = program.spawn(move || region.load::<u8>(at));
                next_fault(region);
                region.install(page, &page_of_byte(value), access).unwrap();
                assert_eq!(load.join().unwrap(), value);
            });
            assert_eq!(region.mapped(page), Ok(Some(access)));
            assert_eq!(region.install(page, &page_of_byte(9), access), Err(PageError::Mapped { page: page.0 }));
            if access == Access::Write {
                region.store(page.0 * PAGE_BYTES as u64, 3u8);
                region.downgrade(page).unwrap();
                assert_eq!(region.with_frame(page, |frame| (frame[0], frame[1])), Ok((3, value)));
            }
            assert!(no_fault_waits(&region));
            region.discard(page).unwrap();
        }
    }
    assert_eq!(region.install(Page(0), &[1], Access::Read), Err(PageError::Length { page: 0, bytes: 1 }));
    assert_eq!(region.frames(), 2);
}

#[test]
fn a_page_installed_for_reading_is_protected_from_its_first_moment() {
    let Some(region) = region(1) else { return };
    scene(&region, |program| {
        let store = program.spawn(|| region.store(0, 1u8));
        assert_eq!(next_fault(&region).kind, FaultKind::Missing);
        region.install(Page(0), &page_of_byte(8), Access::Read).unwrap();
        assert_eq!(next_fault(&region).kind, FaultKind::WriteProtect);
        assert_eq!(region.with_frame(Page(0), |frame| frame[0]), Ok(8));
        region.upgrade(Page(0)).unwrap();
        store.join().unwrap();
    });
}

#[test]
fn making_a_page_present_gives_zeros_and_leaves_what_is_there() {
    let Some(region) = region(3) else { return };
    region.fill(Page(1), &page_of_byte(5)).unwrap();
    region.make_present(PageRange::new(Page(0), 3)).unwrap();
    let first_bytes: Vec<u8> = (0..3).map(|page| region.with_frame(Page(page), |frame| frame[0]).unwrap()).collect();
    assert_eq!(first_bytes, [0, 5, 0]);
    assert_eq!(region.frames(), 3);
}

#[test]
fn what_a_pages_state_forbids_is_refused() {
    let Some(region) = region(2) else { return };
    let page = Page(0);
    assert_eq!(region.map(page, Access::Read), Err(PageError::NoFrame { page: 0 }));
    assert_eq!(region.with_frame(page, |_| ()), Err(PageError::NoFrame { page: 0 }));
    assert_eq!(region.fetch_add(page, 0, 1), Err(PageError::NoFrame { page: 0 }));
    assert_eq!(region.fill(page, &[0; 10]), Err(PageError::Length { page: 0, bytes: 10 }));
    region.make_present(page).unwrap();
    assert_eq!(region.upgrade(page), Err(PageError::NotMapped { page: 0 }));
    assert_eq!(region.downgrade(page), Ok(()));
    region.map(page, Access::Read).unwrap();
    assert_eq!(region.fill(page, &page_of_byte(1)), Err(PageError::Mapped { page: 0 }));
    assert_eq!(region.punch(page), Err(PageError::Mapped { page: 0 }));
    assert_eq!(region.with_frame(page, |_| ()), Ok(()));
    region.upgrade(page).unwrap();
    assert_eq!(region.with_frame(page, |_| ()), Err(PageError::Writable { page: 0 }));
    assert_eq!(region.read_frame(page, &mut [0; 1]), Err(PageError::Length { page: 0, bytes: 1 }));
}

#[test]
fn a_page_outside_the_region_is_an_error() {
    let Some(region) = region(2) else { return };
    let outside = Err(PageError::OutOfRange { page: 2, pages: 2 });
    assert_eq!(region.map(PageRange::new(Page(1), 2), Access::Read), outside);
    assert_eq!(region.discard(Page(2)), outside);
    assert_eq!(region.wake(Page(2)), outside);
    assert_eq!(region.fill(Page(2), &page_of_byte(0)), outside);
    assert_eq!(region.downgrade(Page(2)), outside);
    assert!(region.punch(PageRange::new(Page(1), u64::MAX)).is_err());
    assert!(region.address_of(Page(u64::MAX)).is_err());
    assert_eq!(region.page_of(region.base() - 1), None);
    assert_eq!(region.page_of(region.base() + 2 * PAGE_BYTES - 1), Some(Page(1)));
    assert_eq!(region.page_of(region.base() + 2 * PAGE_BYTES), None);
    assert_eq!(region.map(PageRange::new(Page(2), 0), Access::Read), Ok(()));
}

#[test]
fn a_frame_cannot_change_while_it_is_borrowed() {
    let Some(region) = region(1) else { return };
    region.make_present(Page(0)).unwrap();
    region.map(Page(0), Access::Read).unwrap();
    let busy = PageError::Busy { page: 0 };
    let inside = region.with_frame(Page(0), |_| {
        let reader = region.with_frame(Page(0), |frame| frame[0]);
        (reader, region.upgrade(Page(0)), region.discard(Page(0)), region.fetch_add(Page(0), 0, 1))
    });
    assert_eq!(inside, Ok((Ok(0), Err(busy.clone()), Err(busy.clone()), Err(busy))));
    region.upgrade(Page(0)).unwrap();
}

#[test]
fn a_punched_page_costs_nothing_and_is_missing_and_zero_again() {
    let Some(region) = region(600) else { return };
    let all = PageRange::new(Page(0), 600);
    all.iter().for_each(|page| region.fill(page, &page_of_byte(1)).unwrap());
    region.map(all, Access::Read).unwrap();
    assert_eq!((region.frames(), memory_file_pages(&region)), (600, 600));
    region.discard(all).unwrap();
    region.punch(all).unwrap();
    assert_eq!((region.frames(), memory_file_pages(&region)), (0, 0));
    scene(&region, |program| {
        let load = program.spawn(|| region.load::<u8>(0));
        assert_eq!(next_fault(&region).kind, FaultKind::Missing);
        region.make_present(Page(0)).unwrap();
        region.map(Page(0), Access::Read).unwrap();
        assert_eq!(load.join().unwrap(), 0);
    });
}

pub(super) fn memory_file_pages(region: &Region) -> i64 {
    nix::sys::stat::fstat(&region.file).unwrap().st_blocks * 512 / PAGE_BYTES as i64
}

#[test]
fn atomic_operations_reach_the_words_that_the_program_sees() {
    let Some(region) = region(2) else { return };
    region.make_present(Page(1)).unwrap();
    region.map(Page(1), Access::Write).unwrap();
    let offset = PAGE_BYTES as u64 + 4088;
    region.store(offset, 40u64);
    assert_eq!(region.fetch_add(Page(1), 4088, 2), Ok(40));
    assert_eq!(region.compare_swap(Page(1), 4088, 41, 1), Ok(42));
    assert_eq!(region.load::<u64>(offset), 42);
    assert_eq!(region.compare_swap(Page(1), 4088, 42, u64::MAX), Ok(42));
    assert_eq!(region.fetch_add(Page(1), 4088, 2), Ok(u64::MAX));
    assert_eq!(region.load::<u64>(offset), 1);
    for offset in [1, 4, 4092, 4096, usize::MAX] {
        assert_eq!(region.fetch_add(Page(1), offset, 1), Err(PageError::Misaligned { page: 1, offset }));
    }
}

#[test]
fn every_kind_of_number_survives_the_region() {
    let Some(region) = region(1) else { return };
    region.make_present(Page(0)).unwrap();
    region.map(Page(0), Access::Write).unwrap();
    fn survives<T: Element + PartialEq>(region: &Region, values: &[T]) {
        region.store_slice(256, values);
        let mut back = vec![T::default(); values.len()];
        region.load_slice(256, &mut back);
        assert_eq!(back, values);
        assert_eq!(region.load::<T>(256 + size_of::<T>() as u64), values[1]);
    }
    survives(&region, &[u8::MAX, 1]);
    survives(&region, &[i8::MIN, -1]);
    survives(&region, &[u16::MAX, 2]);
    survives(&region, &[i16::MIN, -2]);
    survives(&region, &[u32::MAX, 3]);
    survives(&region, &[i32::MIN, -3]);
    survives(&region, &[u64::MAX, 4]);
    survives(&region, &[i64::MIN, -4]);
    survives(&region, &[usize::MAX, 5]);
    survives(&region, &[isize::MIN, -5]);
    survives(&region, &[f32::MIN_POSITIVE, -0.5]);
    survives(&region, &[f64::NEG_INFINITY, 0.1]);
}

#[test]
fn an_element_outside_the_region_or_across_its_grain_panics() {
    let Some(region) = region(1) else { return };
    let panics = |work: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
    assert!(panics(&|| assert_eq!(region.load::<u8>(4096), 0)));
    assert!(panics(&|| assert_eq!(region.load::<u64>(u64::MAX - 7), 0)));
    assert!(panics(&|| region.store(4, 1u64)));
    assert!(panics(&|| region.store_slice(4080, &[1u64, 2, 3])));
    assert!(no_fault_waits(&region));
}
