//! Content for the terminal, coloured by what it costs.

use std::env;
use std::fmt::Write;
use std::io::{self, IsTerminal};

use nzip::internals::container::{Explanation, Piece};
use nzip::internals::content::Kind;

use super::super::args::When;
use super::super::stdio::printable;

/// Bytes of content that are printed.
const MOST: usize = 8192;

/// The least bits of a character of each step but the first, and the steps' colours: black on pale yellow to white on dark red.
/// They get darker, so that they can be told apart without seeing colours.
pub const STEPS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 12.0];
const STYLES: [&str; 5] =
    ["38;5;16;48;5;230", "38;5;16;48;5;222", "38;5;16;48;5;214", "38;5;231;48;5;130", "1;38;5;231;48;5;88"];

/// Whether standard output is coloured.
pub fn is_coloured(when: When) -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            io::stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// The content, or its beginning.
pub fn coloured(explanation: &Explanation) -> String {
    let mut text = legend();
    let mut left = MOST;
    for piece in &explanation.pieces {
        let stream = &explanation.streams[piece.stream];
        if stream.kind != Kind::Text {
            let bits: f64 = (piece.start..piece.start + piece.len).map(|at| f64::from(stream.cost(at))).sum();
            let each = bits / piece.len.max(1) as f64;
            let _ = writeln!(text, "[{}: {} bytes, {each:.2} bits each]", name(explanation, piece), piece.len);
            left = left.saturating_sub(80);
        } else {
            let len = piece.len.min(left);
            characters(
                &stream.plain[piece.start..piece.start + len],
                |at| stream.cost(piece.start + at).into(),
                &mut text,
            );
            left -= len;
        }
        if left == 0 {
            break;
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if left == 0 {
        let _ = writeln!(text, "[the rest is not shown]");
    }
    text.push('\n');
    text
}

/// What a piece is, and what it was found in.
pub fn name(explanation: &Explanation, piece: &Piece) -> String {
    let kind = explanation.streams[piece.stream].kind.name();
    piece.within.iter().copied().chain([kind]).collect::<Vec<_>>().join(" > ")
}

fn legend() -> String {
    let mut text = format!("bits of a character: below {}", STEPS[0]);
    for (step, style) in STEPS.iter().zip(STYLES) {
        let _ = write!(text, "  \x1B[{style}m from {step} \x1B[0m");
    }
    text + "\n\n"
}

/// Appends the characters of `bytes`, each in the style of its cost.
fn characters(bytes: &[u8], cost: impl Fn(usize) -> f64, text: &mut String) {
    let mut painter = Painter { text, style: None };
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let len = character.len_utf8();
            let bits = (at..at + len).map(&cost).sum();
            at += len;
            match character {
                '\n' => {
                    painter.put(bits, "↵");
                    // A style would colour the rest of the line.
                    painter.end();
                    painter.text.push('\n');
                }
                '\t' => painter.put(bits, "→   "),
                '\r' => painter.put(bits, "←"),
                _ => painter.put(bits, &printable(character.encode_utf8(&mut [0; 4]))),
            }
        }
        for _ in chunk.invalid() {
            painter.put(cost(at), "·");
            at += 1;
        }
    }
    painter.end();
}

struct Painter<'a> {
    text: &'a mut String,
    style: Option<&'static str>,
}

impl Painter<'_> {
    fn put(&mut self, bits: f64, shown: &str) {
        let style = STEPS.iter().rposition(|&least| bits >= least).map(|step| STYLES[step]);
        if style != self.style {
            self.end();
            self.style = style;
            self.text.extend(style.map(|style| format!("\x1B[{style}m")));
        }
        self.text.push_str(shown);
    }

    fn end(&mut self) {
        if self.style.take().is_some() {
            self.text.push_str("\x1B[0m");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_characters_are_coloured() {
        let costs = [0.5, 0.5, 0.5, 1.0, 12.5, 0.1, 3.0];
        let mut text = String::new();
        characters("éab\n".as_bytes(), |at| costs[at], &mut text);
        characters(b"\xFF\x1B", |at| costs[5 + at], &mut text);
        let [one, two, _, _, twelve] = STYLES;
        let expected =
            format!("\x1B[{one}mé\x1B[0ma\x1B[{one}mb\x1B[0m\x1B[{twelve}m↵\x1B[0m\n·\x1B[{two}m\\u{{1b}}\x1B[0m");
        assert_eq!(text, expected);
    }
}
