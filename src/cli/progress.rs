//! Progress display on standard error.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use nzip::Monitor;

use super::args::When;
use super::batch::{Batch, Direction};
use super::stdio::{is_terminal, message};

const REDRAW: Duration = Duration::from_millis(250);
/// Interval of lines where they can't be redrawn.
const NEW_LINE: Duration = Duration::from_secs(10);
/// Bytes of content and time after which the rate says something.
const FIRST_RATE: (u64, Duration) = (1024, Duration::from_secs(1));

/// Redraws the progress of a file and of the run until dropped.
pub struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Starts the display if the arguments ask for it. `total` is the content's length, if known.
    pub fn start(batch: &Batch, name: String, total: Option<u64>, monitor: Arc<Monitor>) -> Self {
        let terminal = is_terminal();
        let wanted = match batch.common.progress {
            When::Always => true,
            When::Never => false,
            When::Auto => batch.common.quiet == 0 && terminal,
        };
        if !wanted {
            return Progress(None);
        }
        let (stop, stopped) = channel();
        let start = Instant::now();
        let run = (batch.inputs.len() > 1).then(|| Run::new(batch));
        let draw = move || {
            let bars = terminal.then(|| Bars::new(ProgressDrawTarget::stderr(), run.is_some()));
            let interval = if terminal { REDRAW } else { NEW_LINE };
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let file = Line::of_file(&name, &monitor, total.or(monitor.content_total()), start.elapsed());
                let run = run.as_ref().map(|run| run.line(&monitor));
                match &bars {
                    Some(bars) => bars.draw(file, run),
                    None => [Some(file), run].into_iter().flatten().for_each(|line| message(line.text)),
                }
            }
            if let Some(bars) = bars {
                bars.clear();
            }
        };
        // Without a thread there is no display.
        let drawer = thread::Builder::new().name("nzip progress".into()).spawn(draw);
        Progress(drawer.ok().map(|drawer| (stop, drawer)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, drawer)) = self.0.take() {
            drop(stop);
            // A panic in the display is ignored.
            let _ = drawer.join();
        }
    }
}

/// Where a run of several files stood when the current file began.
struct Run {
    number: usize,
    count: usize,
    before: u64,
    total: u64,
    start: Instant,
    direction: Direction,
}

impl Run {
    fn new(batch: &Batch) -> Self {
        let (number, before) = batch.begun.get();
        let Batch { total, start, direction, .. } = *batch;
        Run { number, count: batch.inputs.len(), before, total, start, direction }
    }

    fn line(&self, monitor: &Monitor) -> Line {
        let read = match self.direction {
            Direction::Compress => monitor.content_done(),
            Direction::Decode => monitor.coded_done(),
        };
        let name = format!("file {} of {}", self.number, self.count);
        Line::new(&name, (self.before + read).min(self.total), Some(self.total), self.start.elapsed(), None)
    }
}

/// What is shown of a file or of the run.
struct Line {
    done: u64,
    total: Option<u64>,
    text: String,
}

impl Line {
    fn of_file(name: &str, monitor: &Monitor, total: Option<u64>, elapsed: Duration) -> Self {
        let done = monitor.content_done();
        let bits = monitor.coded_done() as f64 * 8.0 / done.max(1) as f64;
        Self::new(name, done, total, elapsed, Some(bits))
    }

    fn new(name: &str, done: u64, total: Option<u64>, elapsed: Duration, bits: Option<f64>) -> Self {
        let total = total.filter(|&total| total > 0);
        let mut text = format!("{name}: {}", bytes(done));
        if let Some(total) = total {
            text += &format!(" of {}, {:.0} %", bytes(total), done as f64 / total as f64 * 100.0);
        }
        if done < FIRST_RATE.0 || elapsed < FIRST_RATE.1 {
            return Line { done, total, text };
        }
        let rate = done as f64 / elapsed.as_secs_f64();
        text += &format!(", {}/s", bytes(rate as u64));
        if let Some(bits) = bits {
            text += &format!(", {bits:.3} bits per byte");
        }
        if let Some(left) = total.and_then(|total| total.checked_sub(done)) {
            text += &format!(", {} left", duration(left as f64 / rate));
        }
        Line { done, total, text }
    }
}

/// One bar for the file, and one for the run if it has several files. Cut to the terminal's width.
struct Bars {
    all: MultiProgress,
    file: ProgressBar,
    run: Option<ProgressBar>,
}

impl Bars {
    fn new(target: ProgressDrawTarget, several: bool) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let file = all.add(ProgressBar::no_length());
        let run = several.then(|| all.add(ProgressBar::no_length()));
        for bar in [Some(&file), run.as_ref()].into_iter().flatten() {
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                bar.set_style(style);
            }
        }
        Bars { all, file, run }
    }

    fn draw(&self, file: Line, run: Option<Line>) {
        for (bar, line) in [(Some(&self.file), Some(file)), (self.run.as_ref(), run)] {
            let (Some(bar), Some(Line { done, total, text })) = (bar, line) else { continue };
            if let Some(total) = total.filter(|_| bar.length().is_none()) {
                bar.set_length(total);
                if let Ok(style) = ProgressStyle::with_template("[{bar:16}] {wide_msg}") {
                    bar.set_style(style.progress_chars("=> "));
                }
            }
            bar.set_position(done);
            bar.set_message(text);
        }
    }

    fn clear(&self) {
        // What can't be cleared stays on the screen.
        let _ = self.all.clear();
    }
}

/// Formats a byte count with its unit, a power of 1000.
fn bytes(count: u64) -> String {
    DecimalBytes(count).to_string()
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, TermLike};

    #[test]
    fn a_narrow_terminal_shows_one_line_for_each_bar() {
        for width in [20, 40, 200] {
            let terminal = InMemoryTerm::new(10, width);
            let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
            let bars = Bars::new(target, true);
            terminal.write_line("before").unwrap();
            for done in [20_000, 30_000, 40_000] {
                let line = |name| Line::new(name, done, Some(50_000), Duration::from_secs(10), Some(1.5));
                bars.draw(line("a file with a long name.txt"), Some(line("file 2 of 3")));
            }
            let shown = terminal.contents();
            let lines: Vec<&str> = shown.lines().collect();
            assert!(lines.len() == 3 && lines[1].starts_with("[") && lines[2].starts_with("["), "{width}: {shown}");
            assert_eq!(shown.contains("10.00 kB/s") || shown.contains("4.00 kB/s"), width == 200, "{shown}");
            bars.clear();
            assert_eq!(terminal.contents(), "before");
        }
    }

    #[test]
    fn figures_are_for_people() {
        assert_eq!([bytes(999), bytes(152_089), bytes(100_000_000)], ["999 B", "152.09 kB", "100.00 MB"]);
        assert_eq!([duration(0.2), duration(61.0), duration(7260.0)], ["1 s", "1:01 min", "2:01 h"]);
    }

    #[test]
    fn no_rate_before_there_is_one() {
        let line = Line::of_file("x", &Monitor::default(), Some(500), Duration::from_secs(100));
        assert_eq!(line.text, "x: 0 B of 500 B, 0 %");
    }

    #[test]
    fn rate_and_time_left() {
        let line = Line::new("x", 20_000, Some(50_000), Duration::from_secs(10), Some(1.5));
        assert_eq!(line.text, "x: 20.00 kB of 50.00 kB, 40 %, 2.00 kB/s, 1.500 bits per byte, 15 s left");
    }
}
