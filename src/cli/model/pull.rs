//! `nzip model pull`

use anyhow::{Result, bail};
use nzip::internals::transformer::load::Name;

/// Downloads the model into the cache and returns its path.
pub fn text(name: &str) -> Result<String> {
    match Name::parse(name) {
        Some(parsed) => fetch(name, &parsed),
        None => bail!("{name} is no model's name; those are ORG/NAME, or ORG/NAME/FILE.gguf"),
    }
}

/// Instructions for a manual download.
fn by_hand(name: &Name) -> String {
    let url = format!("https://huggingface.co/{}", name.repository);
    match &name.file {
        Some(file) => format!("fetch {url}/resolve/main/{file} and name the file in the model's place"),
        None => format!(
            "fetch config.json, tokenizer.json and model.safetensors from {url}/resolve/main/ into a folder and name the \
             folder in the model's place"
        ),
    }
}

#[cfg(not(feature = "pull"))]
fn fetch(name: &str, parsed: &Name) -> Result<String> {
    bail!("{name}: this nzip was built without downloads (feature `pull`); {}", by_hand(parsed))
}

#[cfg(feature = "pull")]
fn fetch(name: &str, parsed: &Name) -> Result<String> {
    use anyhow::Context;
    use nzip::internals::transformer::load::locate;

    let cache = super::cache().context("there is no folder for models; set HF_HOME")?;
    super::hub::fetch(parsed, &cache).with_context(|| format!("{name} can't be fetched; {}", by_hand(parsed)))?;
    Ok(format!("{}\n", locate(name.as_ref(), Some(&cache))?.display()))
}
