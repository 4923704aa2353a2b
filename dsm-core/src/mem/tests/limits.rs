//! Sizes and places: what works, and how what cannot is said.

use super::*;

#[test]
fn a_region_of_a_tebibyte_costs_what_is_touched() {
    const TEBIBYTE: u64 = 1 << 40;
    let region = match Region::new(TEBIBYTE, BASE_DEFAULT + (8 << 40)) {
        Err(error @ (RegionError::Open(_) | RegionError::NoRoom { .. } | RegionError::FileLimit { .. })) => {
            eprintln!("skipped: {error}");
            return;
        }
        made => made.unwrap(),
    };
    let last = Page(region.pages() - 1);
    for page in [Page(0), Page(region.pages() / 2), last] {
        region.fill(page, &page_of_byte(1)).unwrap();
        region.map(page, Access::Write).unwrap();
        region.store(page.0 * PAGE_BYTES as u64 + 4088, 77u64);
    }
    assert_eq!(region.load::<u64>(TEBIBYTE - 8), 77);
    assert_eq!((region.frames(), frames::memory_file_pages(&region)), (3, 3));
    region.discard(PageRange::new(Page(0), 1 << 20)).unwrap();
    assert_eq!(region.mapped(Page(0)), Ok(None));
}

#[test]
fn addresses_that_are_taken_are_named() {
    let Some(first) = region(4) else { return };
    let error = Region::new(8 * PAGE_BYTES as u64, first.base()).unwrap_err();
    let (base, end) = (first.base(), first.base() + 8 * PAGE_BYTES);
    assert_eq!(error, RegionError::Taken { base, end });
    assert!(error.to_string().contains(&format!("{base:#x}..{end:#x} are taken")), "{error}");
}

#[test]
fn a_dropped_region_gives_its_addresses_back() {
    let Some(first) = region(4) else { return };
    let base = first.base();
    drop(first);
    assert_eq!(Region::new(PAGE_BYTES as u64, base).unwrap().base(), base);
}

#[test]
fn sizes_and_bases_that_cannot_be_are_refused() {
    let base = next_base();
    for bytes in [0, 1, 4095, 4097, u64::MAX, !4095] {
        assert_eq!(Region::new(bytes, base).unwrap_err(), RegionError::Size { bytes });
    }
    for base in [0, 1, 0x2000_0000_0800] {
        assert_eq!(Region::new(4096, base).unwrap_err(), RegionError::Base { base });
    }
}

#[test]
fn more_addresses_than_the_processor_has_are_refused_with_a_remedy() {
    let bytes = 1 << 60;
    match Region::new(bytes, next_base()) {
        Err(error @ (RegionError::Open(_) | RegionError::FileLimit { .. })) => eprintln!("skipped: {error}"),
        Err(error @ RegionError::NoRoom { .. }) => {
            assert!(error.to_string().contains("make the region smaller"), "{error}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_of_opening_say_what_to_do() {
    use nix::errno::Errno;
    let refused = OpenError::Refused { device: Errno::EACCES, user_mode: Errno::EPERM }.to_string();
    assert!(refused.contains("seccomp") && refused.contains("EPERM"), "{refused}");
    assert!(OpenError::NoSystemCall.to_string().contains("CONFIG_USERFAULTFD"));
    assert!(OpenError::Handshake(Errno::EINVAL).to_string().contains("Linux 6.4"));
}
