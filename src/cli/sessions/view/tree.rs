//! The guides of a tree. Pure.

/// What stands before a row: for each depth below the root, whether the row or what it belongs to is the last there.
pub(in crate::cli) fn guide(last: &[bool]) -> String {
    let Some((own, above)) = last.split_last() else { return String::new() };
    let mut guide: String = above.iter().map(|last| if *last { "  " } else { "│ " }).collect();
    guide.push_str(if *own { "└ " } else { "├ " });
    guide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_leads_to_what_a_row_belongs_to() {
        let told = [&[][..], &[false], &[true], &[false, true], &[true, false]].map(guide);
        assert_eq!(told, ["", "├ ", "└ ", "│ └ ", "  ├ "]);
    }
}
