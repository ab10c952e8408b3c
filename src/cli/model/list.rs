//! `nzip model list`

use nzip::internals::transformer::load::cached;
use serde::Serialize;

use super::super::to_json;
use super::cache;

/// A row of the list.
#[derive(Serialize)]
struct Row {
    name: String,
    path: String,
    weight_bytes: u64,
}

/// Lists the models in the cache. Whether nzip supports them is not checked.
pub fn text(json: bool) -> String {
    let folder = cache();
    let models = folder.iter().flat_map(|folder| cached(folder));
    let rows: Vec<Row> = models
        .map(|model| Row { name: model.name, path: model.path.display().to_string(), weight_bytes: model.bytes })
        .collect();
    match (&rows[..], folder) {
        (rows, _) if json => to_json(rows),
        ([], Some(folder)) => format!("no models in {}\n", folder.display()),
        ([], None) => "no models, and no cache folder\n".to_owned(),
        (rows, _) => {
            let mut text = format!("{:>13}  name\n", "bytes");
            rows.iter().for_each(|row| text += &format!("{:>13}  {}\n", row.weight_bytes, row.name));
            text
        }
    }
}
