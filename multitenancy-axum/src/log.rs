use std::fmt::{self, Debug, Display, Write};

/// The `Debug` of a value on one line that cannot be forged: control characters and those that change the direction of
/// text are escaped (S113).
pub(crate) struct OneLine<'a, T: ?Sized>(pub &'a T);

impl<T: Debug + ?Sized> Display for OneLine<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{:?}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| {
            if char.is_control() || turns_direction(char) {
                write!(self.0, "{}", char.escape_unicode())
            } else {
                self.0.write_char(char)
            }
        })
    }
}

fn turns_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Raw(&'static str);

    impl Debug for Raw {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    #[test]
    fn s113_logged_values_stay_on_one_line() {
        let line = OneLine(&Raw("a\r\nERROR forged\u{1b}[2J\0\u{202e}b é")).to_string();
        assert_eq!(line, r"a\u{d}\u{a}ERROR forged\u{1b}[2J\u{0}\u{202e}b é");
    }
}
