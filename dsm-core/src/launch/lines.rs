//! From a stream of bytes to labelled lines.

/// A line longer than this many bytes is passed on in pieces of this size, each on a line of its own.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;

/// Collects the bytes of one stream and gives them back as whole lines, each behind the stream's label.
///
/// Lines are bytes: nothing here asks for UTF-8.
pub(super) struct Lines {
    label: Vec<u8>,
    pending: Vec<u8>,
}

impl Lines {
    pub(super) fn new(label: &str) -> Lines {
        Lines { label: label.as_bytes().to_vec(), pending: Vec::new() }
    }

    /// Takes what was read and appends every line that is now complete to `out`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(&first) = bytes.first() {
            if self.pending.len() == LINE_BYTES_MAX && first != b'\n' {
                self.emit(out);
            }
            let room = (LINE_BYTES_MAX - self.pending.len()).min(bytes.len());
            let (near, _) = bytes.split_at(room);
            let newline = if first == b'\n' { Some(0) } else { near.iter().position(|byte| *byte == b'\n') };
            match newline {
                Some(end) => {
                    self.pending.extend_from_slice(&bytes[..end]);
                    self.emit(out);
                    bytes = &bytes[end + 1..];
                }
                None => {
                    self.pending.extend_from_slice(near);
                    bytes = &bytes[room..];
                }
            }
        }
    }

    /// The stream has ended: what is left is a line, although no newline closed it.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            self.emit(out);
        }
    }

    fn emit(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.label);
        out.append(&mut self.pending);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(pieces: &[&[u8]]) -> Vec<u8> {
        let mut lines = Lines::new("[1] ");
        let mut out = Vec::new();
        pieces.iter().for_each(|piece| lines.feed(piece, &mut out));
        lines.finish(&mut out);
        out
    }

    #[test]
    fn a_line_is_put_together_from_its_pieces() {
        assert_eq!(labelled(&[b"on", b"e\ntw", b"o", b"\n"]), b"[1] one\n[1] two\n");
    }

    #[test]
    fn an_empty_line_stays_a_line() {
        assert_eq!(labelled(&[b"\n\nx\n"]), b"[1] \n[1] \n[1] x\n");
    }

    #[test]
    fn a_last_line_without_a_newline_is_still_printed() {
        assert_eq!(labelled(&[b"one\ntwo"]), b"[1] one\n[1] two\n");
        assert_eq!(labelled(&[]), b"");
    }

    #[test]
    fn bytes_that_are_not_text_pass_unchanged() {
        assert_eq!(labelled(&[b"\xff\x00\xfe\n"]), b"[1] \xff\x00\xfe\n");
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_one_line() {
        let mut line = vec![b'x'; LINE_BYTES_MAX];
        line.push(b'\n');
        let expected = [b"[1] ".as_slice(), &line].concat();
        assert_eq!(labelled(&[&line]), expected);
        assert_eq!(labelled(&[&line[..LINE_BYTES_MAX], b"\n"]), expected);
    }

    #[test]
    fn a_line_above_the_limit_comes_in_labelled_pieces_and_loses_nothing() {
        let long = vec![b'x'; 3 * LINE_BYTES_MAX + 5];
        for chunk in [1, 1000, LINE_BYTES_MAX, long.len()] {
            let out = labelled(&long.chunks(chunk).collect::<Vec<_>>());
            let lengths: Vec<_> = out.split(|b| *b == b'\n').map(|line| line.len().saturating_sub(4)).collect();
            assert_eq!(lengths, [LINE_BYTES_MAX, LINE_BYTES_MAX, LINE_BYTES_MAX, 5, 0]);
        }
    }
}
