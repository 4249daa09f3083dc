//! The last lines of a terminal, redrawn in place while others go by above them.

use std::io;

use super::out::Out;

/// What stands at the bottom of the terminal.
#[derive(Debug, Default)]
pub(super) struct Live {
    rows: usize,
}

impl Live {
    /// Takes away what stands there, prints lines that stay, and draws the area anew below them. Each line of the
    /// area must fit into a row.
    pub(super) fn draw(&mut self, stay: &[String], area: &[String], out: &mut Out) -> io::Result<()> {
        out.text(&redraw(self.rows, stay, area))?;
        self.rows = area.len();
        out.flush()
    }
}

/// What has to be written so that `area` stands where `rows` rows of another one stood.
fn redraw(rows: usize, stay: &[String], area: &[String]) -> String {
    let mut text = String::new();
    if rows > 0 {
        // Up to its first row, and everything from there away.
        text.push_str(&format!("\x1b[{rows}A\r\x1b[J"));
    }
    for line in stay.iter().chain(area) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_takes_the_place_of_the_one_before() {
        let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        assert_eq!(redraw(0, &lines(&["a"]), &lines(&["1", "2"])), "a\n1\n2\n");
        assert_eq!(redraw(2, &lines(&["b"]), &lines(&["3"])), "\x1b[2A\r\x1b[Jb\n3\n");
        assert_eq!(redraw(1, &[], &[]), "\x1b[1A\r\x1b[J");
    }
}
