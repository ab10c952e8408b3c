//! `nzip model list`

use nzip::internals::transformer::load::{Cached, cached, summarise};
use serde::Serialize;

use super::super::to_json;
use super::check::Check;
use super::{cache, kept};

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
    /// What `--check` found.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Check>,
    /// The name of the text that it was measured on.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<String>,
}

/// Lists the models in the cache. No weights are read.
pub fn text(json: bool) -> String {
    let folder = cache();
    let models = folder.iter().flat_map(|folder| cached(folder));
    let checks = folder.as_deref().map(kept::load).unwrap_or_default();
    let row = |model: Cached| {
        let kept = kept::find(&checks, &model.path);
        let (check, checked) = kept.map(|kept| (kept.check.clone(), kept.text.clone())).unzip();
        let summary = summarise(&model.path).ok();
        let supported = summary.as_ref().is_some_and(|summary| summary.is_supported);
        let (architecture, weights) =
            summary.map(|summary| (summary.architecture, summary.weights)).unwrap_or_default();
        let (name, path) = (model.name, model.path.display().to_string());
        Row { name, path, weight_bytes: model.bytes, architecture, supported, weights, check, checked }
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
                text += &format!("{:>13}  {kind:<20}  {}", row.weight_bytes, row.name);
                if let (Some(check), Some(file)) = (&row.check, &row.checked) {
                    text += &format!("  {:.3} bits per byte of {}", check.mixed, file.escape_debug());
                }
                text.push('\n');
            }
            text
        }
    }
}
