//! Tables: columns aligned to the widest cell, two spaces between, nothing after the last.

/// Lays out `rows` under `head`; every row has as many cells as the head. Ends with a newline.
pub fn align<const COLUMNS: usize>(head: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut widths = head.map(width);
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let mut text = String::new();
    push_row(&mut text, &head, &widths);
    for row in rows {
        push_row(&mut text, &row.each_ref().map(String::as_str), &widths);
    }
    text
}

fn push_row(text: &mut String, cells: &[&str], widths: &[usize]) {
    let mut line = String::new();
    for (cell, widest) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', widest - width(cell) + 2));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["count.0".to_owned(), "123".to_owned(), "running".to_owned()],
            ["é".to_owned(), "-".to_owned(), String::new()],
        ];
        let expected = "NAME     PID  STATE\ncount.0  123  running\né        -\n";
        assert_eq!(align(["NAME", "PID", "STATE"], &rows), expected);
    }

    #[test]
    fn a_table_without_rows_is_its_head() {
        assert_eq!(align(["A", "B"], &[]), "A  B\n");
    }
}
