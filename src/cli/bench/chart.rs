//! A chart of compression ratio against speed, as SVG.

#![allow(clippy::disallowed_methods, reason = "what is drawn need not be the same to the bit on every machine")]

use std::fmt::Write;

use super::row::Row;

/// Size of the chart, and of the area that points lie in, in pixels.
const SIZE: (f64, f64) = (840.0, 520.0);
const AREA: Box = Box { left: 70.0, top: 50.0, right: 810.0, bottom: 460.0 };
/// Width and height of a character of a label, and radius of a point.
const CHARACTER: (f64, f64) = (6.7, 13.0);
const RADIUS: f64 = 5.0;

/// Colours for light and dark backgrounds: of at least 4.5 to 1 on either. Shapes tell the series apart, too.
const STYLE: &str = "
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.label { stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; paint-order: stroke; }
.title { font-size: 15px; font-weight: 600; }
.back { fill: #ffffff; }
.grid { stroke: #d8dee4; }
.nzip { fill: #0550ae; }
.peer { fill: #9a3b00; }
.front { stroke: #6e7781; stroke-dasharray: 4 4; fill: none; }
.lead { stroke: #6e7781; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .label { stroke: #0d1117; }
  .back { fill: #0d1117; }
  .grid { stroke: #30363d; }
  .nzip { fill: #79c0ff; }
  .peer { fill: #ffa657; }
}
";

#[derive(Clone, Copy, Debug)]
struct Box {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Box {
    fn around((x, y): (f64, f64), radius: f64) -> Self {
        Box { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius }
    }

    fn overlaps(&self, other: &Box) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn lies_in(&self, other: &Box) -> bool {
        self.left >= other.left && self.right <= other.right && self.top >= other.top && self.bottom <= other.bottom
    }
}

/// A linear scale of values or of their logarithms.
struct Scale {
    min: f64,
    max: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.min) / (self.max - self.min) * (self.to - self.from)
    }
}

/// The chart of `rows`, one of each program: content bytes per archive byte, against the speed of compression.
pub fn svg(rows: &[Row], title: &str) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.content_bytes > 0).collect();
    let speeds: Vec<f64> = rows.iter().map(|row| row.compress_kb_per_s.max(1e-3).log10()).collect();
    let ratios = rows.iter().map(|row| row.ratio());
    let (low, high) = bounds(speeds.iter().copied());
    let x = Scale { min: low.floor(), max: high.ceil().max(low.floor() + 1.0), from: AREA.left, to: AREA.right };
    let (low, high) = bounds(ratios);
    let step = step(high - low);
    let min = (low / step).floor() * step;
    let max = ((high / step).ceil() * step).max(min + step);
    let y = Scale { min, max, from: AREA.bottom, to: AREA.top };
    let points: Vec<(f64, f64)> =
        rows.iter().zip(&speeds).map(|(row, &speed)| (x.at(speed), y.at(row.ratio()))).collect();

    let mut svg = String::new();
    let (width, height) = SIZE;
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n\
         <style>{STYLE}</style>\n<rect class=\"back\" width=\"{width}\" height=\"{height}\"/>",
        escaped(title)
    );
    text(&mut svg, (AREA.left, 28.0), "start", "title", title);
    grid(&mut svg, &x, &y, step);
    let mut front = frontier(&points);
    front.sort_by(|a, b| a.0.total_cmp(&b.0));
    let path: Vec<String> = front.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(svg, "<polyline class=\"front\" points=\"{}\"/>", path.join(" "));
    for (row, &(x, y)) in rows.iter().zip(&points) {
        let tip = format!(
            "{}: {} bytes, {:.3} bits per byte, {:.0} KB/s to compress, {:.0} KB/s to decompress",
            row.program,
            row.archive_bytes,
            row.bits_per_byte.unwrap_or_default(),
            row.compress_kb_per_s,
            row.decompress_kb_per_s
        );
        let shape = match row.level {
            Some(_) => format!("<circle class=\"nzip\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{RADIUS}\">"),
            None => format!(
                "<rect class=\"peer\" x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\" transform=\"rotate(45 {x:.1} {y:.1})\">",
                x - 4.0,
                y - 4.0
            ),
        };
        let end = if row.level.is_some() { "circle" } else { "rect" };
        let _ = writeln!(svg, "{shape}<title>{}</title></{end}>", escaped(&tip));
    }
    let labels: Vec<&str> = rows.iter().map(|row| row.program.as_str()).collect();
    for ((label, place), &point) in labels.iter().zip(place(&labels, &points)).zip(&points) {
        let middle = ((place.left + place.right) / 2.0, (place.top + place.bottom) / 2.0);
        if (middle.1 - point.1).abs() > CHARACTER.1 * 1.5 || (place.left - point.0).min(point.0 - place.right) > 20.0 {
            let near = (point.0.clamp(place.left, place.right), point.1.clamp(place.top, place.bottom));
            let _ = writeln!(
                svg,
                "<line class=\"lead\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
                point.0, point.1, near.0, near.1
            );
        }
        text(&mut svg, (middle.0, place.bottom - 3.0), "middle", "label", label);
    }
    svg + "</svg>\n"
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high { (0.0, 1.0) } else { (low, high) }
}

/// A distance of 1, 2 or 5 times a power of ten that divides `span` into four to ten parts.
fn step(span: f64) -> f64 {
    let unit = 10f64.powf((span.max(0.1) / 10.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * unit).into_iter().find(|step| span / step <= 10.0).unwrap_or(unit)
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn grid(svg: &mut String, x: &Scale, y: &Scale, step: f64) {
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        let _ = writeln!(svg, "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
    };
    let decades: Vec<f64> = (x.min as i32..=x.max as i32).map(f64::from).collect();
    let ratios: Vec<f64> = (0..=((y.max - y.min) / step).round() as usize).map(|i| y.min + i as f64 * step).collect();
    decades.iter().for_each(|&decade| line(x.at(decade), AREA.top, x.at(decade), AREA.bottom));
    ratios.iter().for_each(|&ratio| line(AREA.left, y.at(ratio), AREA.right, y.at(ratio)));
    for &decade in &decades {
        text(svg, (x.at(decade), AREA.bottom + 18.0), "middle", "", &speed(decade));
    }
    let digits = if step < 1.0 { 1 } else { 0 };
    for &ratio in &ratios {
        text(svg, (AREA.left - 8.0, y.at(ratio) + 4.0), "end", "", &format!("{ratio:.digits$}"));
    }
    text(svg, ((AREA.left + AREA.right) / 2.0, AREA.bottom + 42.0), "middle", "", "speed of compression (logarithmic)");
    let _ = writeln!(
        svg,
        "<text transform=\"translate(22 {}) rotate(-90)\" text-anchor=\"middle\">content bytes per archive byte</text>",
        (AREA.top + AREA.bottom) / 2.0
    );
}

/// The speed of 10^`decade` KB/s.
fn speed(decade: f64) -> String {
    let kb = 10f64.powf(decade);
    match decade as i32 {
        ..0 => format!("{:.0} B/s", kb * 1e3),
        0..3 => format!("{kb:.0} KB/s"),
        3..6 => format!("{:.0} MB/s", kb / 1e3),
        _ => format!("{:.0} GB/s", kb / 1e6),
    }
}

/// The points that no other is both right of and above: none is as fast and as small.
fn frontier(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let beaten = |a: &(f64, f64)| points.iter().any(|b| b != a && b.0 >= a.0 && b.1 <= a.1);
    points.iter().filter(|point| !beaten(point)).copied().collect()
}

/// Places for the labels, near their points, that overlap neither each other nor any point.
fn place(labels: &[&str], points: &[(f64, f64)]) -> Vec<Box> {
    let frame = Box { left: AREA.left, top: AREA.top - 12.0, right: SIZE.0, bottom: AREA.bottom };
    let mut taken: Vec<Box> = points.iter().map(|&point| Box::around(point, RADIUS)).collect();
    let mut places = Vec::new();
    for (label, &(x, y)) in labels.iter().zip(points) {
        let (width, height) = (label.chars().count() as f64 * CHARACTER.0, CHARACTER.1);
        let at = |dx: f64, dy: f64| Box {
            left: x + dx - width / 2.0,
            right: x + dx + width / 2.0,
            top: y + dy - height / 2.0,
            bottom: y + dy + height / 2.0,
        };
        let side = RADIUS + 4.0 + width / 2.0;
        let candidates = (1..40).flat_map(|ring| {
            let away = f64::from(ring) * height;
            let shift = (f64::from(ring) - 1.0) * 6.0;
            [(side + shift, away - height), (-side - shift, away - height), (0.0, -away), (0.0, away)]
                .into_iter()
                .chain([(side + shift, -away), (-side - shift, -away), (side + shift, away), (-side - shift, away)])
        });
        let free = candidates
            .map(|(dx, dy)| at(dx, dy))
            .find(|place| place.lies_in(&frame) && !taken.iter().any(|other| other.overlaps(place)));
        let place = free.unwrap_or_else(|| at(side, 0.0));
        taken.push(place);
        places.push(place);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap() {
        // Two dense clusters, as levels and peers of like speed make.
        let points: Vec<(f64, f64)> = (0..20)
            .map(|i| (if i % 2 == 0 { 200.0 } else { 790.0 } + f64::from(i), 200.0 + f64::from(i) * 3.0))
            .collect();
        let labels = ["zstd --ultra -22"; 20];
        let places = place(&labels, &points);
        for (i, a) in places.iter().enumerate() {
            assert!(a.right <= SIZE.0 && places[..i].iter().all(|b| !a.overlaps(b)), "{i}: {a:?}");
            assert!(points.iter().all(|&point| !a.overlaps(&Box::around(point, RADIUS))));
        }
    }

    #[test]
    fn the_frontier_is_what_nothing_beats() {
        let points = [(1.0, 1.0), (2.0, 2.0), (1.5, 3.0), (3.0, 2.5)];
        assert_eq!(frontier(&points), [(1.0, 1.0), (2.0, 2.0), (3.0, 2.5)]);
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([0.7, 3.0, 9.0, 40.0].map(step), [0.1, 0.5, 1.0, 5.0]);
        assert_eq!([-1.0, 2.0, 4.0].map(speed), ["100 B/s", "100 KB/s", "10 MB/s"]);
    }
}
