//! Memory that several parts of the program hold, and parts of it.

use bytes::Bytes;

/// These bytes as a part of `whole`, if they are in its memory.
pub(crate) fn part_of(whole: &Bytes, part: &[u8]) -> Option<Bytes> {
    let (inside, wanted) = (whole.as_ptr_range(), part.as_ptr_range());
    (inside.start <= wanted.start && wanted.end <= inside.end).then(|| whole.slice_ref(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_memory_is_a_part_of_it() {
        let whole = Bytes::from(vec![7; 100]);
        assert_eq!(part_of(&whole, &whole[10..20]).map(|part| part.as_ptr()), Some(whole[10..].as_ptr()));
        assert_eq!(part_of(&whole, &whole), Some(whole.clone()));
        assert_eq!(part_of(&whole.slice(..50), &whole[40..60]), None);
        assert_eq!(part_of(&whole, &[7; 10]), None);
    }
}
