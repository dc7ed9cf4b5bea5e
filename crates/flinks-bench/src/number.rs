//! Formats numbers for tables.

/// Formats a number with three significant digits and with spaces as thousands separators. Numbers
/// of at least 100 are rounded to an integer.
pub fn format(value: f64) -> String {
    let magnitude = value.abs();
    if value.fract() != 0.0 && magnitude < 100.0 {
        let decimals = match magnitude {
            10.0.. => 1,
            1.0.. => 2,
            0.001.. => 3,
            _ => 6,
        };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 && !text.ends_with('-') {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn numbers_have_three_digits_or_separated_thousands() {
        let formatted = [0.0, 0.0421, 1.0, 4.567, 17.25, 123.4, 1_234_567.0, -123_456.0].map(format);
        assert_eq!(formatted, ["0", "0.042", "1", "4.57", "17.2", "123", "1 234 567", "-123 456"]);
    }
}
