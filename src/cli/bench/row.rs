//! A measurement.

use std::iter::once;

use serde::Serialize;

use super::super::stdio::printable;
use super::super::table::Columns;

/// What one program made of one file, or of all.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: String,
    /// The program and its options.
    pub program: String,
    /// nzip's level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    pub content_bytes: u64,
    pub archive_bytes: u64,
    pub bits_per_byte: Option<f64>,
    pub compress_kb_per_s: f64,
    pub decompress_kb_per_s: f64,
    /// Peak of the process. nzip's own holds content and archive in memory.
    pub peak_memory_bytes: Option<u64>,
    /// Archive size without the denoiser, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_denoiser_bytes: Option<u64>,
    /// Bits per byte of the transformer alone, if transformers are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alone_bits_per_byte: Option<f64>,
}

impl Row {
    /// Content bytes per archive byte.
    pub fn ratio(&self) -> f64 {
        self.content_bytes as f64 / self.archive_bytes.max(1) as f64
    }
}

/// Totals of each program that measured all `files` files. Rates are total bytes divided by total time.
pub fn totals(rows: &[Row], files: usize) -> Vec<Row> {
    let mut programs: Vec<&str> = Vec::new();
    for row in rows {
        if !programs.contains(&row.program.as_str()) {
            programs.push(&row.program);
        }
    }
    let of = |program: &str| rows.iter().filter(|row| row.program == program).collect::<Vec<_>>();
    programs.into_iter().map(of).filter(|rows| rows.len() == files).map(|rows| total(&rows)).collect()
}

fn total(rows: &[&Row]) -> Row {
    let content_bytes = rows.iter().map(|row| row.content_bytes).sum();
    let archive_bytes = rows.iter().map(|row| row.archive_bytes).sum();
    let rate = |rate: fn(&Row) -> f64| {
        let seconds: f64 = rows.iter().map(|row| row.content_bytes as f64 / rate(row).max(1e-9)).sum();
        content_bytes as f64 / seconds.max(1e-9)
    };
    let alone: Option<f64> =
        rows.iter().map(|row| Some(row.alone_bits_per_byte? * row.content_bytes as f64 / content_bytes as f64)).sum();
    Row {
        name: match rows {
            [row] => row.name.clone(),
            _ => format!("{} files", rows.len()),
        },
        program: rows[0].program.clone(),
        level: rows[0].level,
        content_bytes,
        archive_bytes,
        bits_per_byte: super::super::bits_per_byte(archive_bytes, content_bytes),
        compress_kb_per_s: rate(|row| row.compress_kb_per_s),
        decompress_kb_per_s: rate(|row| row.decompress_kb_per_s),
        peak_memory_bytes: rows.iter().filter_map(|row| row.peak_memory_bytes).max(),
        without_denoiser_bytes: rows.iter().map(|row| row.without_denoiser_bytes).sum(),
        alone_bits_per_byte: alone,
    }
}

/// The columns of the table.
#[derive(Clone, Copy)]
pub struct Shape {
    pub without_denoiser: bool,
    pub alone: bool,
}

impl Shape {
    /// Columns that rows printed one at a time fit into.
    pub fn columns(self) -> Columns {
        let mut header = vec!["program", "content", "archive", "bpb", "c KB/s", "d KB/s", "peak MB"];
        let mut widths = vec![18, 11, 11, 6, 8, 8, 8];
        if self.without_denoiser {
            header.extend(["no denoiser", "gain"]);
            widths.extend([11, 7]);
        }
        if self.alone {
            header.push("alone bpb");
            widths.push(9);
        }
        let text = vec![0, header.len()];
        header.push("name");
        widths.push(0);
        Columns { header, widths, text }
    }

    /// The cells of a row.
    pub fn cells(self, row: &Row) -> Vec<String> {
        let bits = |bits: Option<f64>| bits.map_or("-".into(), |bits| format!("{bits:.3}"));
        let mut cells = vec![
            printable(&row.program),
            row.content_bytes.to_string(),
            row.archive_bytes.to_string(),
            bits(row.bits_per_byte),
            format!("{:.0}", row.compress_kb_per_s),
            format!("{:.0}", row.decompress_kb_per_s),
            row.peak_memory_bytes.map_or("-".into(), |bytes| format!("{:.1}", bytes as f64 / 1e6)),
        ];
        if self.without_denoiser {
            let without = row.without_denoiser_bytes;
            let gain = |without: u64| 100.0 * (without as f64 - row.archive_bytes as f64) / without as f64;
            cells.push(without.map_or("-".into(), |without| without.to_string()));
            cells.push(without.map_or("-".into(), |without| format!("{:.2}%", gain(without))));
        }
        if self.alone {
            cells.push(bits(row.alone_bits_per_byte));
        }
        cells.push(printable(&row.name));
        cells
    }

    /// All rows as comma-separated values.
    pub fn csv(self, rows: &[Row]) -> String {
        let quoted = |cell: &str| match cell.contains([',', '"', '\n']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.to_owned(),
        };
        let header = self.columns().header.iter().map(ToString::to_string).collect();
        let lines = once(header).chain(rows.iter().map(|row| self.cells(row)));
        lines.map(|cells| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\n").collect()
    }
}
