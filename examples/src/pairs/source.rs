//! How much of a source file a form consists of.

/// Lines of code, neither blank nor comment, of the top-level item whose declaration begins like this (`pub` apart); none if there is no
/// such item.
pub(super) fn lines_of(source: &str, item: &str) -> Option<usize> {
    let begins = |line: &&str| {
        let rest = line.strip_prefix("pub ").unwrap_or(line).strip_prefix(item);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
    };
    let mut lines = source.lines().skip_while(|line| !begins(line));
    let first = lines.next()?;
    if first.ends_with(';') || first.ends_with('}') {
        return Some(1);
    }
    let body = lines.by_ref().take_while(|line| !line.starts_with(['}', ']'])).filter(|line| is_code(line)).count();
    Some(body + 2)
}

fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::ALL;

    const SOURCE: &str = "const A: u64 = 1;\n\n/// Says.\npub fn a() {\n    // Why.\n\n    b()\n}\n\nstruct Ab;\nfn ab(\n    c: u64,\n) {\n    d()\n}\n";

    #[test]
    fn blank_lines_and_comments_are_no_code() {
        assert_eq!(lines_of(SOURCE, "fn a"), Some(3));
        assert_eq!(lines_of(SOURCE, "const A"), Some(1));
        assert_eq!(lines_of(SOURCE, "struct Ab"), Some(1));
        assert_eq!(lines_of(SOURCE, "fn ab"), Some(5));
        assert_eq!(lines_of(SOURCE, "fn b"), None);
    }

    #[test]
    fn every_form_names_the_items_that_it_consists_of() {
        for pair in &ALL {
            for form in pair.forms {
                for item in form.items {
                    assert!(lines_of(pair.source, item).is_some(), "{} of {} has no \"{item}\"", form.name, pair.name);
                }
                assert!(pair.lines(form) > 3, "{} of {}", form.name, pair.name);
            }
        }
    }
}
