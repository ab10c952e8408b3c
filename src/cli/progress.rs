//! Progress display on standard error.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nzip::Monitor;

use super::args::{CommonArgs, ProgressMode};
use super::stdio::message;

const REDRAW: Duration = Duration::from_millis(250);
/// Interval of lines where they can't be redrawn.
const NEW_LINE: Duration = Duration::from_secs(10);
/// Bytes of content and time after which the rate says something.
const FIRST_RATE: (u64, Duration) = (1024, Duration::from_secs(1));

/// Redraws the progress line until dropped.
pub struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Starts the display if the arguments ask for it.
    pub fn start(common: &CommonArgs, name: String, total: Option<u64>, monitor: Arc<Monitor>) -> Self {
        let terminal = io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let wanted = match common.progress {
            ProgressMode::Always => true,
            ProgressMode::Never => false,
            ProgressMode::Auto => common.quiet == 0 && terminal,
        };
        if !wanted {
            return Progress(None);
        }
        let (stop, stopped) = channel();
        let start = Instant::now();
        let draw = move || {
            let bar = terminal.then(bar);
            let interval = if terminal { REDRAW } else { NEW_LINE };
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let line = line(&name, &monitor, total.or(monitor.content_total()), start.elapsed());
                match &bar {
                    Some(bar) => bar.set_message(line),
                    None => message(line),
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        };
        // Without a thread there is no display.
        let drawer = thread::Builder::new().name("nzip progress".into()).spawn(draw);
        Progress(drawer.ok().map(|drawer| (stop, drawer)))
    }
}

/// A line that is redrawn in place and cut to the terminal's width.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
        bar.set_style(style);
    }
    bar
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

fn line(name: &str, monitor: &Monitor, total: Option<u64>, elapsed: Duration) -> String {
    let total = total.filter(|&total| total > 0);
    let done = monitor.content_done();
    let mut line = format!("{name}: {}", bytes(done));
    if let Some(total) = total {
        line += &format!(" of {}, {:.0} %", bytes(total), done as f64 / total as f64 * 100.0);
    }
    if done < FIRST_RATE.0 || elapsed < FIRST_RATE.1 {
        return line;
    }
    let rate = done as f64 / elapsed.as_secs_f64();
    line += &format!(", {}/s", bytes(rate as u64));
    line += &format!(", {:.3} bits per byte", monitor.coded_done() as f64 * 8.0 / done as f64);
    if let Some(left) = total.and_then(|total| total.checked_sub(done)) {
        line += &format!(", {} left", duration(left as f64 / rate));
    }
    line
}

/// Formats a byte count with its unit.
pub fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} KB", count as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
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

    #[test]
    fn figures_are_for_people() {
        assert_eq!([bytes(9999), bytes(152_089), bytes(100_000_000)], ["9999 B", "152.1 KB", "100.0 MB"]);
        assert_eq!([duration(0.2), duration(61.0), duration(7260.0)], ["1 s", "1:01 min", "2:01 h"]);
    }

    #[test]
    fn no_rate_before_there_is_one() {
        let line = line("x", &Monitor::default(), Some(500), Duration::from_secs(100));
        assert_eq!(line, "x: 0 B of 500 B, 0 %");
    }
}
