//! `nzip model list`

use nzip::internals::transformer::load::{Cached, cached, summarise};
use serde::Serialize;

use super::super::to_json;
use super::cache;

/// A row of the list.
#[derive(Serialize)]
struct Row {
    name: String,
    path: String,
    weight_bytes: u64,
    /// What the files call the architecture.
    architecture: String,
    supported: bool,
    /// The type of most weights.
    weights: String,
}

/// Lists the models in the cache. No weights are read.
pub fn text(json: bool) -> String {
    let folder = cache();
    let models = folder.iter().flat_map(|folder| cached(folder));
    let row = |model: Cached| {
        let summary = summarise(&model.path).ok();
        let supported = summary.as_ref().is_some_and(|summary| summary.is_supported);
        let (architecture, weights) =
            summary.map(|summary| (summary.architecture, summary.weights)).unwrap_or_default();
        let (name, path) = (model.name, model.path.display().to_string());
        Row { name, path, weight_bytes: model.bytes, architecture, supported, weights }
    };
    let rows: Vec<Row> = models.map(row).collect();
    match (&rows[..], folder) {
        (rows, _) if json => to_json(rows),
        ([], Some(folder)) => format!("no models in {}\n", folder.display()),
        ([], None) => "no models, and no cache folder\n".to_owned(),
        (rows, _) => {
            let mut text = format!("{:>13}  {:<20}  name\n", "bytes", "type");
            for row in rows {
                let kind = match (row.architecture.as_str(), row.supported) {
                    ("", _) => "unknown".to_owned(),
                    (architecture, true) => format!("{architecture} {}", row.weights.escape_debug()),
                    (architecture, false) => format!("{}, unsupported", architecture.escape_debug()),
                };
                text += &format!("{:>13}  {kind:<20}  {}\n", row.weight_bytes, row.name);
            }
            text
        }
    }
}
